/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nm-tender: starts an image as a process of its own, the data process, and does everything for it
 * that the data process has no right to do: owns the vhost-user socket, does the handshake with
 * every back end that connects, keeps the time, and prints the counters of the data process.
 *
 * The state of the link, by the generation in the control page:
 *
 *      even, down --- a back end agrees: rings emptied, handshake ---> odd, up
 *        ^                                                              |
 *        +--- the data process has seen it <--- even: it is gone <------+
 *
 * The tender empties the rings only after the data process has seen that it no longer owns them.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "names.h"
#include "tender.h"

#define NS_PER_MS 1000000ull
#define AGAIN_MS 1          /* between two attempts to connect to a back end */
#define SEEN_MS 5000u       /* for the data process to see a change, or to report */
#define SEEN_PAUSE_NS 50000 /* between two polls of the control page */
#define END_MS 10000        /* for the data process to end */
#define LOOK_MS 100         /* between two looks at the mark of a user's service */
#define NO_NAMES                                                                                   \
    "the data process reports invalid names of itself or its counters (allowed: a-z, 0-9, _)"

struct tender {
    struct tender_options options;
    struct vhost_front front;
    struct data data;
    struct timekeeper time;
    int signal_fd;
    bool up, was_up;    /* was_up: at least once */
    bool ready;         /* the ready line was printed */
    uint64_t report_ns; /* --every: time of the next report */
    struct stuck stuck;
    /* Checked copies of the data process's names, taken when it became ready. */
    char datapath[CONTROL_NAME_BYTES];
    struct service_words words;
};

static int fail(int code, const char *error)
{
    fprintf(stderr, "nm-tender: %s\n", error);
    return code;
}

static void say(const char *event)
{
    printf("{\"event\":\"%s\"}\n", event);
    fflush(stdout);
}

static struct control_link *link_of(const struct tender *tender)
{
    return &tender->data.control->link;
}

/* Wake the data process, which may be asleep. */
static void wake(const struct tender *tender)
{
    uint64_t one = 1;

    if (tender->front.call_fd >= 0 && write(tender->front.call_fd, &one, sizeof(one)) < 0)
        return; /* its counter is full: it is awake */
}

static bool has_ended(const struct tender *tender, int wait_ms)
{
    struct pollfd wait = {.fd = tender->data.pid_fd, .events = POLLIN};

    return poll(&wait, 1, wait_ms) == 1;
}

static bool is_watched(const struct tender *tender)
{
    return atomic_load_explicit(&tender->data.control->watch.is_watched, memory_order_relaxed) != 0;
}

/* Whether a function of a user's service does not come back. */
static bool is_stuck(struct tender *tender)
{
    return is_watched(tender) && stuck_look(&tender->stuck, &tender->data.control->watch.mark,
                                            data_spent_ns(&tender->data));
}

/* Say why the data process does not react: `late`, or that it is stuck. */
static const char *why_late(struct tender *tender, const char *late)
{
    static char sentence[STUCK_TEXT_BYTES];
    struct text text = text_in(sentence, sizeof(sentence));

    if (!is_stuck(tender))
        return late;
    stuck_text(&text, tender->words.name, &tender->data.control->watch.mark);
    return sentence;
}

/* Wait until the data process has written `wanted`. False: it did not within SEEN_MS, or it
 * ended, or is stuck. */
static bool await(struct tender *tender, const _Atomic uint32_t *word, uint32_t wanted)
{
    const struct timespec pause = {0, SEEN_PAUSE_NS};
    uint64_t end_ns = timekeeper_now_ns() + SEEN_MS * NS_PER_MS;

    while (atomic_load_explicit(word, memory_order_acquire) != wanted) {
        if (has_ended(tender, 0) || is_stuck(tender) || timekeeper_now_ns() > end_ns)
            return false;
        nanosleep(&pause, NULL);
    }
    return true;
}

/* ---- the link ---- */

static bool link_take_down(struct tender *tender)
{
    struct control_link *link = link_of(tender);
    uint32_t generation = atomic_load_explicit(&link->generation, memory_order_relaxed) + 1;

    tender->up = false;
    vhost_front_disconnect(&tender->front);
    atomic_store_explicit(&link->generation, generation, memory_order_release);
    wake(tender);
    say("down");
    return await(tender, &tender->data.control->said.seen, generation);
}

/* The rings are empty while the link is down. Tell the back end where they are, then let the data
 * process fill them; until then the back end sees empty rings. */
static void link_try(struct tender *tender)
{
    struct control_link *link = link_of(tender);

    if (!vhost_front_try(&tender->front))
        return;
    if (!vhost_front_start(&tender->front)) {
        vhost_front_disconnect(&tender->front);
        return;
    }
    atomic_store_explicit(&link->features, tender->front.features, memory_order_relaxed);
    atomic_fetch_add_explicit(&link->generation, 1, memory_order_release);
    wake(tender);
    tender->up = true;
    if (tender->was_up)
        say("up");
    tender->was_up = true;
}

/* ---- reports of the data process ---- */

/* Copy first, then check: the data process cannot change the copy. False: some name is invalid. */
static bool take_names(struct tender *tender)
{
    const struct control_said *said = &tender->data.control->said;

    memcpy(tender->datapath, said->datapath, sizeof(tender->datapath));
    tender->words = said->words;
    return names_are_sound(tender->datapath, &tender->words);
}

static void print_said(const struct tender *tender, const char *event)
{
    struct report copy = tender->data.control->said.report;

    names_make_printable(copy.service.faults);
    print_report(event, &copy, &tender->words);
}

static bool report(struct tender *tender, const char *event)
{
    struct control *control = tender->data.control;
    uint32_t nb = atomic_load_explicit(&control->said.nb_reports, memory_order_relaxed);

    atomic_store_explicit(&control->link.ask, 1, memory_order_release);
    wake(tender);
    if (!await(tender, &control->said.nb_reports, nb + 1))
        return false;
    print_said(tender, event);
    return true;
}

/* Print the ready line once the data process is ready. NULL, or one sentence: its names are
 * invalid. */
static const char *look_whether_ready(struct tender *tender)
{
    struct control_said *said = &tender->data.control->said;

    if (tender->ready || atomic_load_explicit(&said->state, memory_order_acquire) != CONTROL_READY)
        return NULL;
    if (!take_names(tender))
        return NO_NAMES;
    tender->ready = true;
    print_ready(&(struct ready){.datapath = tender->datapath,
                                .service = tender->words.name,
                                .listen = &tender->options.dut.datapath.listen,
                                .pid = tender->data.pid,
                                .tender_pid = getpid(),
                                .store_budget_bytes = tender->options.dut.memory_bytes});
    return NULL;
}

/* ---- the program ---- */

/* Return true for SIGTERM or SIGINT: end. Set *ask for SIGUSR1: report. */
static bool take_signals(struct tender *tender, bool *ask)
{
    struct signalfd_siginfo info;

    while (read(tender->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo != SIGUSR1)
            return true;
        *ask = true;
    }
    return false;
}

/* Sleep until a signal, the end of the data process, the next clock update or report, activity of
 * the back end, or the next attempt to connect. */
static void rest(struct tender *tender)
{
    uint64_t now_ns = timekeeper_now_ns(), until_ns = timekeeper_look(&tender->time, now_ns);
    struct pollfd wait[] = {
        {.fd = tender->signal_fd, .events = POLLIN},
        {.fd = tender->data.pid_fd, .events = POLLIN},
        {.fd = tender->up ? tender->front.socket : tender->front.listener, .events = POLLIN}};

    if (tender->report_ns != 0 && tender->report_ns < until_ns)
        until_ns = tender->report_ns;
    if (is_watched(tender) && now_ns + LOOK_MS * NS_PER_MS < until_ns)
        until_ns = now_ns + LOOK_MS * NS_PER_MS;
    if (!tender->ready || (!tender->up && tender->front.listener < 0))
        until_ns = now_ns + AGAIN_MS * NS_PER_MS;
    uint64_t ms = until_ns > now_ns ? (until_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS : 0;
    (void)poll(wait, sizeof(wait) / sizeof(wait[0]), (int)ms);
}

/* Whether a report of --every is due now. */
static bool report_is_due(struct tender *tender)
{
    uint64_t period_ns = tender->options.dut.every_s * 1000 * NS_PER_MS;
    uint64_t now_ns = timekeeper_now_ns();

    if (period_ns == 0 || !tender->ready)
        return false;
    if (tender->report_ns == 0)
        tender->report_ns = now_ns + period_ns;
    if (now_ns < tender->report_ns)
        return false;
    tender->report_ns += period_ns;
    return true;
}

/* Run until a signal ends the program (NULL), or until it cannot continue: one sentence. */
static const char *run(struct tender *tender)
{
    for (;;) {
        bool ask = false;
        if (!tender->up)
            link_try(tender);
        else if (vhost_front_lost(&tender->front) && !link_take_down(tender) &&
                 !has_ended(tender, 0))
            return why_late(tender, "the data process does not release its rings within 5 s");
        const char *error = look_whether_ready(tender);
        if (error == NULL)
            error = why_late(tender, NULL);
        if (error != NULL)
            return error;
        if (has_ended(tender, 0))
            return data_end(&tender->data);
        if (take_signals(tender, &ask))
            return NULL;
        if ((report_is_due(tender) || ask) && tender->ready && !report(tender, "counters") &&
            !has_ended(tender, 0))
            return why_late(tender, "the data process does not report within 5 s");
        rest(tender);
    }
}

/* Let the data process finish its turn, then print its final report. */
static const char *stop(struct tender *tender)
{
    struct control *control = tender->data.control;
    const char *error;

    atomic_store_explicit(&control->link.stop, 1, memory_order_release);
    wake(tender);
    for (int ms = 0; !has_ended(tender, LOOK_MS); ms += LOOK_MS) {
        if (ms >= END_MS || is_stuck(tender))
            return why_late(tender, "the data process does not end within 10 s, and is killed");
    }
    error = data_end(&tender->data);
    if (error != NULL)
        return error;
    if (!tender->ready && !take_names(tender))
        return NO_NAMES;
    print_said(tender, "final");
    return NULL;
}

static const char *start(struct tender *tender)
{
    struct control *control = tender->data.control;

    timekeeper_start(&tender->time, &control->clock);
    control->setup.version = CONTROL_VERSION;
    control->setup.ring_size = tender->front.config.ring_size;
    control->setup.memory_bytes = tender->front.memory_bytes;
    control->setup.tsc_hz = timekeeper_tsc_hz(&tender->time);
    memcpy(control->setup.mac, tender->options.mac, sizeof(control->setup.mac));
    control->setup.called = tender->front.call_fd >= 0;
    control->setup.options = tender->options.dut;
    control->setup.options.datapath.args = NULL; /* an address in this process only */
    control->setup.options.datapath.nb_args = 0;
    return data_start(&tender->data, tender->options.image, &tender->front);
}

static void catch_signals(struct tender *tender)
{
    sigset_t wanted;

    sigemptyset(&wanted);
    sigaddset(&wanted, SIGTERM);
    sigaddset(&wanted, SIGINT);
    sigaddset(&wanted, SIGUSR1);
    sigprocmask(SIG_BLOCK, &wanted, NULL);
    tender->signal_fd = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
    signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv)
{
    static struct tender tender;
    const char *error = tender_options_parse(&tender.options, argc, argv);

    if (error != NULL)
        return fail(2, error);
    catch_signals(&tender);
    if ((error = data_open(&tender.data)) != NULL ||
        (error = vhost_front_open(&tender.front, &tender.options.front)) != NULL)
        return fail(1, error);
    error = start(&tender);
    if (error == NULL)
        error = run(&tender);
    if (error == NULL && tender.data.pid > 0)
        error = stop(&tender);
    data_close(&tender.data);
    vhost_front_close(&tender.front);
    return error == NULL ? 0 : fail(1, error);
}
