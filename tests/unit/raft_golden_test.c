/* Readable scenarios: tests/data/raft/NAME.txt holds commands, a line `----`, and the whole trace
 * that they must give: each line a decision and its reason. REWRITE=1 records them anew; then
 * explain the difference in the commit.
 *
 *   cluster n=3 [learners=1] [seed=1]   nodes with empty disks, not started
 *   log node=1 terms=1,1,2 [term=2]     what its disk holds
 *   start [node=2]                      all that are down, or one
 *   timeout node=2                      its election time-out is now
 *   run 15ms
 *   submit node=1 [count=3]; read node=1; transfer node=1 to=2; step-down node=1
 *   members node=1 voters=1,2,4 [learners=5]
 *   crash node=1; cut node=1; heal; lost node=2 peer=1; compact node=1
 *   stall node=1; unstall node=1; clock node=1 ahead=5000; rot node=1 last=4 [until=9]
 *   status                              one line for each node that is up */
#include <dirent.h>
#include <sys/stat.h>

#include "protocol/raft/raft.h"
#include "raft_one.h"

struct scenario {
    struct cluster *cluster;
    uint32_t size;
    struct moot_buffer out;
};

/* The text after `name=` in a command, or NULL. */
static const char *option(const char *line, const char *name)
{
    size_t size = strlen(name);
    for (const char *at = strchr(line, ' '); at != NULL; at = strchr(at + 1, ' ')) {
        if (strncmp(at + 1, name, size) == 0 && at[1 + size] == '=') {
            return at + 1 + size + 1;
        }
    }
    return NULL;
}

static uint64_t number(const char *line, const char *name, uint64_t otherwise)
{
    const char *text = option(line, name);
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static uint32_t list(const char *line, const char *name, uint64_t *out, uint32_t max)
{
    const char *text = option(line, name);
    uint32_t count = 0;
    while (text != NULL && *text >= '0' && *text <= '9' && count < max) {
        char *end = NULL;
        out[count++] = strtoull(text, &end, 10);
        text = *end == ',' ? end + 1 : NULL;
    }
    return count;
}

static void collect(struct scenario *scenario)
{
    struct moot_buffer *trace = &scenario->cluster->trace;
    moot_buffer_append(&scenario->out, trace->data, trace->size);
    moot_buffer_reset(trace, 1 << 20);
}

static void say_status(struct scenario *scenario)
{
    static const char *const roles[] = {"follower", "pre-candidate", "candidate", "leader"};
    for (moot_node_id id = 1; id <= CLUSTER_NODES; id++) {
        struct cluster_node *node = &scenario->cluster->nodes[id];
        if (!node->up) {
            continue;
        }
        struct moot_raft_status status = cluster_status(scenario->cluster, id);
        char line[256];
        int size = snprintf(line, sizeof(line),
                            "n%u: %s, term %llu, leader %u, log %llu..%llu, durable %llu, commit "
                            "%llu, reads confirmed to round %llu\n",
                            id, roles[status.role], (unsigned long long)status.term, status.leader,
                            (unsigned long long)status.first, (unsigned long long)status.last,
                            (unsigned long long)status.durable, (unsigned long long)status.commit,
                            (unsigned long long)node->rounds_confirmed);
        moot_buffer_append(&scenario->out, line, (size_t)size);
    }
}

static void make_cluster(struct scenario *scenario, const char *line)
{
    struct cluster *cluster = cluster_make(number(line, "seed", 1));
    cluster->options.trace = true;
    cluster->check_matching = true;
    uint32_t voters = (uint32_t)number(line, "n", 3);
    uint32_t learners = (uint32_t)number(line, "learners", 0);
    struct moot_members members = cluster_members(voters, learners);
    scenario->size = (uint32_t)number(line, "nodes", voters + learners);
    for (moot_node_id id = 1; id <= scenario->size; id++) {
        cluster_create(cluster, id, &members);
        cluster_crash(cluster, id, 0);
    }
    scenario->cluster = cluster;
}

static void write_disk(struct scenario *scenario, const char *line)
{
    uint64_t nodes[CLUSTER_NODES];
    uint64_t terms[64];
    uint32_t node_count = list(line, "node", nodes, CLUSTER_NODES);
    uint32_t count = list(line, "terms", terms, 64);
    for (uint32_t n = 0; n < node_count; n++) {
        struct cluster_node *node = &scenario->cluster->nodes[nodes[n]];
        for (uint32_t i = 1; i <= count; i++) {
            node->disk.entries[i] = (struct cluster_entry){.term = terms[i - 1],
                                                           .size = 1,
                                                           .kind = MOOT_RAFT_ENTRY_DATA,
                                                           .value = terms[i - 1] * 100 + i};
        }
        node->disk.last = count;
        node->disk_term = number(line, "term", count > 0 ? terms[count - 1] : 0);
    }
}

static int change(struct scenario *scenario, const char *line, moot_node_id id)
{
    uint64_t voters[CLUSTER_NODES];
    uint64_t learners[CLUSTER_NODES];
    uint32_t voter_count = list(line, "voters", voters, CLUSTER_NODES);
    uint32_t learner_count = list(line, "learners", learners, MOOT_QUORUM_LEARNERS_MAX);
    moot_node_id voter_ids[CLUSTER_NODES];
    moot_node_id learner_ids[CLUSTER_NODES];
    for (uint32_t i = 0; i < voter_count; i++) {
        voter_ids[i] = (moot_node_id)voters[i];
    }
    for (uint32_t i = 0; i < learner_count; i++) {
        learner_ids[i] = (moot_node_id)learners[i];
    }
    return cluster_change(scenario->cluster, id, voter_ids, (uint8_t)voter_count, learner_ids,
                          (uint8_t)learner_count);
}

static bool is(const char *line, const char *word)
{
    size_t size = strlen(word);
    return strncmp(line, word, size) == 0 && (line[size] == ' ' || line[size] == '\0');
}

/* What is asked of a running core. */
static int ask(struct scenario *scenario, const char *line, moot_node_id id)
{
    struct cluster *cluster = scenario->cluster;
    int status = 0;
    if (is(line, "timeout")) {
        cluster->nodes[id].raft->election_deadline.ns = cluster->now_ns;
        status = cluster_event(cluster, id, MOOT_RAFT_EVENT_TICK);
    } else if (is(line, "submit")) {
        for (uint64_t i = number(line, "count", 1); i > 0 && status == 0; i--) {
            status = cluster_submit(cluster, id);
        }
    } else if (is(line, "read")) {
        status = cluster_read(cluster, id);
    } else if (is(line, "transfer")) {
        status = cluster_event_node(cluster, id, MOOT_RAFT_EVENT_TRANSFER,
                                    (moot_node_id)number(line, "to", 0));
    } else if (is(line, "lost")) {
        status = cluster_event_node(cluster, id, MOOT_RAFT_EVENT_PEER_LOST,
                                    (moot_node_id)number(line, "peer", 0));
    } else if (is(line, "step-down")) {
        status = cluster_event(cluster, id, MOOT_RAFT_EVENT_STEP_DOWN);
    } else if (is(line, "members")) {
        status = change(scenario, line, id);
    } else if (is(line, "compact")) {
        cluster_compact(cluster, id);
    } else {
        fprintf(stderr, "# unknown command: %s\n", line);
        return MOOT_EINVALID;
    }
    cluster_flush(cluster, id);
    return status;
}

/* What happens to a node, or to the world. False: it is for a core. */
static bool happen(struct scenario *scenario, const char *line, moot_node_id id)
{
    struct cluster *cluster = scenario->cluster;
    struct cluster_node *node = &cluster->nodes[id];
    if (is(line, "log")) {
        write_disk(scenario, line);
    } else if (is(line, "start")) {
        for (moot_node_id each = 1; each <= scenario->size; each++) {
            if (!cluster->nodes[each].up && (id == 0 || id == each)) {
                cluster_start(cluster, each);
            }
        }
    } else if (is(line, "run")) {
        cluster_run_ms(cluster, strtoull(line + 4, NULL, 10));
    } else if (is(line, "crash")) {
        cluster_crash(cluster, id, 0);
    } else if (is(line, "cut")) {
        cluster_cut_node(cluster, id, true);
    } else if (is(line, "heal")) {
        cluster_heal(cluster);
    } else if (is(line, "stall")) {
        node->disk_stalled = true;
    } else if (is(line, "unstall")) {
        node->disk_stalled = false;
    } else if (is(line, "clock")) {
        node->wall_offset_ms = (int64_t)number(line, "ahead", 0);
    } else if (is(line, "rot")) {
        node->rotten = true;
        node->disk.last = number(line, "last", 0);
        node->rotten_until = number(line, "until", UINT64_MAX);
    } else if (is(line, "status")) {
        say_status(scenario);
    } else {
        return false;
    }
    return true;
}

static void command(struct scenario *scenario, const char *line)
{
    moot_buffer_append_text(&scenario->out, "> ");
    moot_buffer_append_text(&scenario->out, line);
    moot_buffer_append_text(&scenario->out, "\n");
    if (is(line, "cluster")) {
        make_cluster(scenario, line);
        return;
    }
    assert_non_null(scenario->cluster);
    moot_node_id id = (moot_node_id)number(line, "node", 0);
    int status = 0;
    if (!happen(scenario, line, id)) {
        status = ask(scenario, line, id);
    }
    collect(scenario);
    if (status != 0) {
        moot_buffer_append_text(&scenario->out, "refused: ");
        moot_buffer_append_text(&scenario->out, moot_status_text(status));
        moot_buffer_append_text(&scenario->out, "\n");
    }
}

static struct moot_buffer read_whole(const char *path)
{
    struct moot_buffer text;
    moot_buffer_init(&text);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    for (size_t got = 1; got > 0;) {
        uint8_t *room = moot_buffer_reserve(&text, 65536);
        got = fread(room, 1, 65536, file);
        text.size += got;
    }
    fclose(file);
    moot_buffer_append(&text, "", 1);
    text.size--;
    return text;
}

/* Runs the commands of a file. True when its trace is what the file says. */
static bool play(const char *path)
{
    struct moot_buffer text = read_whole(path);
    char *mark = strstr((char *)text.data, "----\n");
    assert_non_null(mark);
    size_t head = (size_t)(mark - (char *)text.data) + 5;
    struct scenario scenario = {0};
    moot_buffer_init(&scenario.out);
    char *commands = moot_alloc(head + 1);
    memcpy(commands, text.data, head);
    commands[head - 5] = '\0';
    for (char *line = strtok(commands, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        if (*line != '#' && *line != '\0') {
            command(&scenario, line);
        }
    }
    bool same = scenario.out.size == text.size - head &&
                memcmp(scenario.out.data, text.data + head, scenario.out.size) == 0;
    if (!same && getenv("REWRITE") != NULL) {
        FILE *file = fopen(path, "wb");
        assert_non_null(file);
        fwrite(text.data, 1, head, file);
        fwrite(scenario.out.data, 1, scenario.out.size, file);
        fclose(file);
        same = true;
    } else if (!same) {
        size_t at = 0;
        while (at < scenario.out.size && head + at < text.size &&
               scenario.out.data[at] == text.data[head + at]) {
            at++;
        }
        while (at > 0 && scenario.out.data[at - 1] != '\n') {
            at--;
        }
        fprintf(stderr, "# %s differs: got %.*s\n", path,
                (int)strcspn((char *)scenario.out.data + at, "\n"), scenario.out.data + at);
    }
    moot_free(commands);
    cluster_free(scenario.cluster);
    moot_buffer_deinit(&scenario.out);
    moot_buffer_deinit(&text);
    return same;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void scenarios_play_as_recorded(void **state)
{
    (void)state;
    const char *folder = "tests/data/raft";
    struct stat is_there;
    if (stat(folder, &is_there) != 0) {
        folder = "../tests/data/raft";
    }
    DIR *entries = opendir(folder);
    assert_non_null(entries);
    char *names[128];
    size_t count = 0;
    for (struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        if (strstr(entry->d_name, ".txt") != NULL && count < MOOT_ARRAY_LEN(names)) {
            names[count++] = strdup(entry->d_name);
        }
    }
    closedir(entries);
    qsort(names, count, sizeof(names[0]), by_name);
    assert_true(count >= 10);
    size_t failed = 0;
    for (size_t i = 0; i < count; i++) {
        char path[512];
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        failed += !play(path);
        free(names[i]);
    }
    assert_int_equal(failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(scenarios_play_as_recorded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
