/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command `stats`; see stats.h.
 *
 * Exporters and dashboards expect memcached's names, so all of them are printed; a value that has
 * no counterpart in this service is always 0.
 */
#include "stats.h"

/* X(name, value), in memcached's order. */
#define STATS_NUMBERS_ABOUT_PROCESS(X)                                                             \
    X("pid", stats->pid)                                                                           \
    X("uptime", store->now_s - STORE_START_S)                                                      \
    X("time", store->start_unix_s + store->now_s - STORE_START_S)

#define STATS_NUMBERS(X)                                                                           \
    X("pointer_size", 64)                                                                          \
    X("rusage_user", 0)                                                                            \
    X("rusage_system", 0)                                                                          \
    X("max_connections", 0)                                                                        \
    X("curr_connections", 0)                                                                       \
    X("total_connections", 0)                                                                      \
    X("rejected_connections", 0)                                                                   \
    X("connection_structures", 0)                                                                  \
    X("response_obj_oom", 0)                                                                       \
    X("response_obj_count", 0)                                                                     \
    X("response_obj_bytes", 0)                                                                     \
    X("read_buf_count", 0)                                                                         \
    X("read_buf_bytes", 0)                                                                         \
    X("read_buf_bytes_free", 0)                                                                    \
    X("read_buf_oom", 0)                                                                           \
    X("reserved_fds", 0)                                                                           \
    X("cmd_get", stats->nb_get)                                                                    \
    X("cmd_set", stats->nb_set)                                                                    \
    X("cmd_flush", stats->nb_flush)                                                                \
    X("cmd_touch", stats->nb_touch)                                                                \
    X("cmd_meta", 0)                                                                               \
    X("get_hits", stats->nb_get_hits)                                                              \
    X("get_misses", stats->nb_get_misses)                                                          \
    X("get_expired", store->nb_expired)                                                            \
    X("get_flushed", 0)                                                                            \
    X("delete_misses", stats->nb_delete_misses)                                                    \
    X("delete_hits", stats->nb_delete_hits)                                                        \
    X("incr_misses", stats->nb_incr_misses)                                                        \
    X("incr_hits", stats->nb_incr_hits)                                                            \
    X("decr_misses", stats->nb_decr_misses)                                                        \
    X("decr_hits", stats->nb_decr_hits)                                                            \
    X("cas_misses", stats->nb_cas_misses)                                                          \
    X("cas_hits", stats->nb_cas_hits)                                                              \
    X("cas_badval", stats->nb_cas_badval)                                                          \
    X("touch_hits", stats->nb_touch_hits)                                                          \
    X("touch_misses", stats->nb_touch_misses)                                                      \
    X("store_too_large", stats->nb_too_large)                                                      \
    X("store_no_memory", 0)                                                                        \
    X("auth_cmds", 0)                                                                              \
    X("auth_errors", 0)                                                                            \
    X("bytes_read", stats->read_bytes)                                                             \
    X("bytes_written", stats->written_bytes)                                                       \
    X("limit_maxbytes", stats->memory_bytes)                                                       \
    X("accepting_conns", 1)                                                                        \
    X("listen_disabled_num", 0)                                                                    \
    X("time_in_listen_disabled_us", 0)                                                             \
    X("threads", 1)                                                                                \
    X("conn_yields", 0)                                                                            \
    X("hash_power_level", 0)                                                                       \
    X("hash_bytes", (uint64_t)store->table.nb_buckets * sizeof(struct bucket))                     \
    X("hash_is_expanding", 0)                                                                      \
    X("slab_reassign_rescues", 0)                                                                  \
    X("slab_reassign_chunk_rescues", 0)                                                            \
    X("slab_reassign_evictions_nomem", 0)                                                          \
    X("slab_reassign_inline_reclaim", 0)                                                           \
    X("slab_reassign_busy_items", 0)                                                               \
    X("slab_reassign_busy_deletes", 0)                                                             \
    X("slab_reassign_running", 0)                                                                  \
    X("slabs_moved", 0)                                                                            \
    X("lru_crawler_running", 0)                                                                    \
    X("lru_crawler_starts", 0)                                                                     \
    X("lru_maintainer_juggles", 0)                                                                 \
    X("malloc_fails", 0)                                                                           \
    X("log_worker_dropped", 0)                                                                     \
    X("log_worker_written", 0)                                                                     \
    X("log_watcher_skipped", 0)                                                                    \
    X("log_watcher_sent", 0)                                                                       \
    X("log_watchers", 0)                                                                           \
    X("unexpected_napi_ids", 0)                                                                    \
    X("round_robin_fallback", 0)                                                                   \
    X("bytes", store->live_bytes)                                                                  \
    X("curr_items", store->nb_items)                                                               \
    X("total_items", store->nb_stored)                                                             \
    X("slab_global_page_pool", 0)                                                                  \
    X("expired_unfetched", 0)                                                                      \
    X("evicted_unfetched", 0)                                                                      \
    X("evicted_active", 0)                                                                         \
    X("evictions", store->nb_evicted)                                                              \
    X("reclaimed", store->nb_expired)                                                              \
    X("crawler_reclaimed", 0)                                                                      \
    X("crawler_items_checked", 0)                                                                  \
    X("lrutail_reflocked", 0)                                                                      \
    X("moves_to_cold", 0)                                                                          \
    X("moves_to_warm", 0)                                                                          \
    X("moves_within_lru", 0)                                                                       \
    X("direct_reclaims", 0)                                                                        \
    X("lru_bumps_dropped", 0)

struct number {
    const char *name;
    uint32_t name_bytes;
    uint64_t value;
};

static void put_numbers(struct message *message, const struct number *numbers, uint32_t nb)
{
    for (uint32_t i = 0; i < nb; i++) {
        message_put_text(message, "STAT ");
        message_put(message, (const uint8_t *)numbers[i].name, numbers[i].name_bytes);
        message_put_text(message, " ");
        message_put_number(message, numbers[i].value);
        message_put_text(message, "\r\n");
    }
}

void stats_put(const struct stats *stats, const struct store *store, struct message *message)
{
#define X(text, number) {.name = (text), .name_bytes = sizeof(text) - 1, .value = (number)},
    const struct number about_process[] = {STATS_NUMBERS_ABOUT_PROCESS(X)};
    const struct number numbers[] = {STATS_NUMBERS(X)};
#undef X
    put_numbers(message, about_process, sizeof about_process / sizeof about_process[0]);
    message_put_text(message, "STAT version " KV_VERSION "\r\nSTAT libevent none\r\n");
    put_numbers(message, numbers, sizeof numbers / sizeof numbers[0]);
    message_put_text(message, "END\r\n");
}
