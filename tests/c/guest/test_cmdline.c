/* SPDX-License-Identifier: BSD-3-Clause */
/* The parameters that a guest's first process reads from the kernel's command line. */
#include "cmdline.h"

#include <arpa/inet.h>
#include <string.h>

#include "../check.h"

static struct cmdline cmdline;

static void takes(const char *text)
{
    const char *error = cmdline_parse(&cmdline, text);

    if (error != NULL)
        fprintf(stderr, "%s\n", error);
    CHECK(error == NULL);
}

static void refuses(const char *text, const char *why)
{
    const char *error = cmdline_parse(&cmdline, text);

    CHECK(error != NULL && strstr(error, why) != NULL);
}

static void test_whole(void)
{
    takes("console=ttyS0 quiet nm.address=10.0.0.100/24 panic=-1 nm.driver=uio_pci_generic "
          "nm.server=\"--listen 10.0.0.100:11211  --poll -- -m 16\" last=1\n");
    CHECK(cmdline.address.s_addr == inet_addr("10.0.0.100") && cmdline.prefix_bits == 24);
    CHECK(strcmp(cmdline.driver, "uio_pci_generic") == 0);
    CHECK(strcmp(cmdline.argv[1], "--listen") == 0);
    CHECK(strcmp(cmdline.argv[2], "10.0.0.100:11211") == 0);
    CHECK(strcmp(cmdline.argv[3], "--poll") == 0 && strcmp(cmdline.argv[4], "--") == 0);
    CHECK(strcmp(cmdline.argv[6], "16") == 0 && cmdline.argv[7] == NULL);
}

static void test_little(void)
{
    takes("nm.server=x");
    CHECK(cmdline.address.s_addr == 0 && cmdline.driver == NULL);
    CHECK(strcmp(cmdline.argv[1], "x") == 0 && cmdline.argv[2] == NULL);
    /* Words that do not begin with "nm." belong to the kernel, even if they contain "nm.". */
    takes("anm.address=x module.nm.server=y \"quoted nm.driver=\" nm.server=\"a b\"");
    CHECK(cmdline.driver == NULL && strcmp(cmdline.argv[2], "b") == 0);
    /* A quote without its end extends to the end of the line. */
    takes("nm.server=\"a b");
    CHECK(strcmp(cmdline.argv[2], "b") == 0);
}

static void test_bad(void)
{
    static const char *const addresses[] = {"10.0.0.1",
                                            "10.0.0.1/",
                                            "10.0.0.1/0",
                                            "10.0.0.1/33",
                                            "10.0.0/24",
                                            "10.0.0.1/24x",
                                            "/24",
                                            "0.0.0.0/8",
                                            "10.0.0.1/-1",
                                            "",
                                            "10.0.0.1/99999999999999999999"};
    char text[128];

    for (unsigned i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        snprintf(text, sizeof(text), "nm.address=%s nm.server=x", addresses[i]);
        refuses(text, "nm.address");
    }
    refuses("nm.driver= nm.server=x", "nm.driver");
    refuses("nm.driver=../x nm.server=x", "nm.driver");
    refuses("nm.adress=10.0.0.1/24 nm.server=x", "unknown");
    refuses("nm.server=", "one to 126");
    refuses("nm.server=\"  \"", "one to 126");
    refuses("quiet", "missing");
    refuses("", "missing");
}

static void test_bounds(void)
{
    char text[CMDLINE_BYTES_MAX + 2];
    size_t used = (size_t)snprintf(text, sizeof(text), "nm.server=\"");

    for (unsigned i = 0; i < CMDLINE_WORDS_MAX; i++, used += 2)
        memcpy(text + used, "w ", 3);
    takes(text);
    CHECK(cmdline.argv[CMDLINE_WORDS_MAX] != NULL && cmdline.argv[CMDLINE_WORDS_MAX + 1] == NULL);
    memcpy(text + used, "w ", 3);
    refuses(text, "one to 126");

    memset(text, 'x', sizeof(text));
    memcpy(text, "nm.server=", 10);
    text[CMDLINE_BYTES_MAX - 1] = '\0';
    takes(text);
    text[CMDLINE_BYTES_MAX - 1] = 'x';
    text[CMDLINE_BYTES_MAX] = '\0';
    refuses(text, "2,047");
}

int main(void)
{
    test_whole();
    test_little();
    test_bad();
    test_bounds();
    return 0;
}
