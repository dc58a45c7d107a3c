/* `moot replay`: recorded nodes live again, and are compared with what they did. */
#include "cli/replay.h"

#include <argp.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/memory.h"
#include "base/slice.h"
#include "base/status.h"
#include "cli/cli.h"
#include "cli/replay_picture.h"
#include "host/recorder.h"
#include "replay/player.h"

enum { FOLDERS_MAX = 16, KEY_UNTIL = 256, KEY_FROM, KEY_LAST, KEY_BREAK, KEY_HTML, KEY_PRINT };

/* A turn's number, or a time since the node was opened: "1234", "2.5s". */
struct point {
    bool given, is_time;
    uint64_t turn;
    struct moot_duration age;
};

struct options {
    const char *paths[FOLDERS_MAX];
    size_t path_count;
    struct point from, until, break_at, last;
    uint64_t last_ms; /* Of --last: the wall time it begins at. */
    const char *html;
    bool print;
};

/* One file under replay. */
struct replay {
    const struct options *options;
    const char *path;
    struct replay_picture *picture; /* NULL: none is wanted. */
    bool stopped;                   /* By --until. */
    bool broken;                    /* --break-at has been reached. */
};

static const struct argp_option table[] = {
    {"until", KEY_UNTIL, "T", 0, "stop after turn T, or at a time since the start: 2.5s", 0},
    {"from", KEY_FROM, "T", 0, "print and draw only what is from there on", 0},
    {"last", KEY_LAST, "T", 0, "print and draw the last part before all end, by the wall clock: 5s",
     0},
    {"break-at", KEY_BREAK, "T", 0, "raise SIGTRAP before turn T or time T: for a debugger", 0},
    {"trace", KEY_HTML, "FILE", 0, "draw what happened; several recordings become one picture", 0},
    {"html", 0, NULL, OPTION_ALIAS, NULL, 0},
    {"print", KEY_PRINT, NULL, 0, "print each turn: its inputs and effects", 0},
    {0},
};

static struct point parse_point(const char *option, const char *text)
{
    struct point point = {.given = true};
    char *end;
    errno = 0;
    double number = strtod(text, &end);
    point.is_time = *end == 's';
    end += point.is_time;
    if (end == text || *end != '\0' || errno != 0 || !(number >= 0 && number < 1e9)) {
        cli_fail("%s: '%s' is neither a turn's number nor a time like 2.5s", option, text);
        exit(CLI_USAGE);
    }
    if (point.is_time) {
        point.age.ns = (uint64_t)(number * 1e9);
    } else {
        point.turn = (uint64_t)number;
    }
    return point;
}

static error_t parse(int key, char *text, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case KEY_UNTIL:
        options->until = parse_point("--until", text);
        return 0;
    case KEY_FROM:
        options->from = parse_point("--from", text);
        return 0;
    case KEY_LAST:
        options->last = parse_point("--last", text);
        if (!options->last.is_time) {
            argp_error(state, "--last: '%s' is no time like 5s", text);
        }
        return 0;
    case KEY_BREAK:
        options->break_at = parse_point("--break-at", text);
        return 0;
    case KEY_HTML:
        options->html = text;
        return 0;
    case KEY_PRINT:
        options->print = true;
        return 0;
    case ARGP_KEY_ARG:
        if (options->path_count == FOLDERS_MAX) {
            argp_error(state, "at most %d recordings", FOLDERS_MAX);
        }
        options->paths[options->path_count++] = text;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "name a folder that `moot server --record` has filled, or one of its "
                          "files");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    table,
    parse,
    "DIR|FILE...",
    "Feeds each recorded node again what it was told, and compares every turn's effects with those "
    "recorded. Exit status 1: they differ, or the recording is damaged.",
    NULL,
    NULL,
    NULL};

static bool reached(const struct point *point, const struct moot_player_turn *turn)
{
    return point->is_time ? turn->age.ns >= point->age.ns : turn->number >= point->turn;
}

static bool passed(const struct point *point, const struct moot_player_turn *turn)
{
    return point->is_time ? turn->age.ns > point->age.ns : turn->number > point->turn;
}

/* ---- printing ---- */

static const char *const INPUTS[MOOT_INPUT_KINDS] = {
    [MOOT_INPUT_TICK] = "tick",
    [MOOT_INPUT_CLIENT_OPENED] = "client opened",
    [MOOT_INPUT_CLIENT_BYTES] = "client bytes",
    [MOOT_INPUT_CLIENT_ENDED] = "client ended",
    [MOOT_INPUT_CLIENT_SENT] = "client sent",
    [MOOT_INPUT_CLIENT_CLOSED] = "client closed",
    [MOOT_INPUT_PEER_UP] = "peer up",
    [MOOT_INPUT_PEER_DOWN] = "peer down",
    [MOOT_INPUT_PEER_MESSAGE] = "peer message",
    [MOOT_INPUT_DURABLE] = "durable",
    [MOOT_INPUT_FETCHED] = "fetched",
    [MOOT_INPUT_FLUSHED] = "flushed",
    [MOOT_INPUT_CHUNK] = "chunk",
    [MOOT_INPUT_INGESTED] = "ingested",
    [MOOT_INPUT_LONG_READ] = "long read",
    [MOOT_INPUT_SPACE] = "space",
    [MOOT_INPUT_HEALTH] = "health",
    [MOOT_INPUT_STOP] = "stop",
    [MOOT_INPUT_REOPEN] = "reopen",
    [MOOT_INPUT_CLIENT_KEPT] = "client kept",
    [MOOT_INPUT_PEER_PART] = "peer part",
};

static const char *const EFFECTS[MOOT_EFFECT_KINDS] = {
    [MOOT_EFFECT_JOURNAL] = "journal",
    [MOOT_EFFECT_STORE_WRITE] = "store write",
    [MOOT_EFFECT_FLUSH] = "flush",
    [MOOT_EFFECT_FETCH] = "fetch",
    [MOOT_EFFECT_PIN] = "pin",
    [MOOT_EFFECT_UNPIN] = "unpin",
    [MOOT_EFFECT_PIN_READ] = "pin read",
    [MOOT_EFFECT_INGEST] = "ingest",
    [MOOT_EFFECT_LONG_READ] = "long read",
    [MOOT_EFFECT_SEND] = "send",
    [MOOT_EFFECT_PEER] = "peer",
    [MOOT_EFFECT_REPLY] = "reply",
    [MOOT_EFFECT_CLIENT_PAUSE] = "client pause",
    [MOOT_EFFECT_CLIENT_CLOSE] = "client close",
    [MOOT_EFFECT_LOG] = "log",
    [MOOT_EFFECT_STOP] = "stop",
    [MOOT_EFFECT_CLIENT_KEEP] = "client keep",
};

static void print_input(const struct moot_input *input)
{
    struct moot_buffer words;
    moot_buffer_init(&words);
    replay_input_words(input, &words);
    printf("    <- %s %.*s\n", INPUTS[input->kind], (int)words.size, (const char *)words.data);
    moot_buffer_deinit(&words);
}

static void print_effect(const struct moot_effect *effect)
{
    struct moot_buffer words;
    moot_buffer_init(&words);
    replay_effect_words(effect, &words);
    printf("    -> %s %.*s\n", EFFECTS[effect->kind], (int)words.size, (const char *)words.data);
    moot_buffer_deinit(&words);
}

/* ---- replaying ---- */

static void on_opened(void *context, const struct moot_replay_open *open,
                      const struct moot_node *node)
{
    struct replay *replay = context;
    if (open->program != recorder__program()) {
        printf("%s: recorded by another build (moot %.*s): it may go another way\n", replay->path,
               (int)open->version.size, (const char *)open->version.data);
    }
    if (replay->picture != NULL) {
        replay_picture_opened(replay->picture, open, node);
    }
}

static bool on_before(void *context, const struct moot_player_turn *turn)
{
    struct replay *replay = context;
    const struct options *options = replay->options;
    if (options->until.given && passed(&options->until, turn)) {
        replay->stopped = true;
        return false;
    }
    if (options->break_at.given && !replay->broken && reached(&options->break_at, turn)) {
        replay->broken = true;
        printf("%s: turn %llu, at %.6f s: here comes SIGTRAP; step into moot_node_turn\n",
               replay->path, (unsigned long long)turn->number, (double)turn->age.ns / 1e9);
        fflush(stdout);
        raise(SIGTRAP);
    }
    return true;
}

static void on_after(void *context, const struct moot_player_turn *turn,
                     const struct moot_node *node, const struct moot_effects *effects)
{
    struct replay *replay = context;
    if ((replay->options->from.given && !reached(&replay->options->from, turn)) ||
        turn->now.wall_ms < replay->options->last_ms) {
        return;
    }
    if (replay->options->print) {
        printf("turn %llu at %.6f s\n", (unsigned long long)turn->number,
               (double)turn->age.ns / 1e9);
        for (size_t i = 0; i < turn->count; i++) {
            print_input(&turn->inputs[i]);
        }
        for (size_t i = 0; i < effects->count; i++) {
            print_effect(&effects->items[i]);
        }
    }
    if (replay->picture != NULL) {
        replay_picture_turn(replay->picture, turn, node, effects);
    }
}

/* How the recording ended; true when it is damaged. */
static bool say_ending(const char *path, const struct moot_replay_stream *stream,
                       const struct moot_player_result *result)
{
    unsigned long long at = stream->ending_at;
    const char *within = result->within_turn ? ", within a turn" : "";
    switch (stream->ending) {
    case MOOT_REPLAY_MARKED:
        printf("%s: complete%s: %s\n", path, within, moot_replay_end_text(stream->marked));
        return false;
    case MOOT_REPLAY_UNMARKED:
        printf("%s: ends without a mark%s: the server was killed, or the file was truncated at a "
               "chunk's end\n",
               path, within);
        return false;
    case MOOT_REPLAY_CUT:
        printf("%s: truncated: chunk %llu, at byte %llu, is not whole%s\n", path,
               (unsigned long long)stream->chunks, at, within);
        return false;
    case MOOT_REPLAY_ROTTEN:
        printf("%s: damaged: chunk %llu, at byte %llu, has a wrong checksum%s\n", path,
               (unsigned long long)stream->chunks, at, within);
        return true;
    case MOOT_REPLAY_MALFORMED:
        printf("%s: damaged: chunk %llu, at byte %llu, makes no sense%s\n", path,
               (unsigned long long)stream->chunks, at, within);
        return true;
    case MOOT_REPLAY_MORE:
        break;
    }
    return false;
}

static int say_result(struct replay *replay, const struct moot_replay_stream *stream,
                      const struct moot_player_result *result)
{
    const char *path = replay->path;
    printf("%s: node %u: %llu turns in %.3f s, %s\n", path, result->identity.node,
           (unsigned long long)result->turns, (double)result->age.ns / 1e9,
           result->differs ? "then another one" : "all as recorded");
    if (result->differs) {
        if (result->turn == 0) {
            printf("%s: differs while it opens: %s\n", path, result->why);
        } else {
            printf("%s: differs first in turn %llu, at %.6f s: %s\n", path,
                   (unsigned long long)result->turn, (double)result->age.ns / 1e9, result->why);
        }
        return CLI_FAILED;
    }
    if (replay->stopped) {
        return CLI_OK;
    }
    return say_ending(path, stream, result) ? CLI_FAILED : CLI_OK;
}

static int replay_bytes(struct replay *replay, struct moot_slice bytes)
{
    struct moot_replay_stream stream;
    struct moot_player_result result;
    int status = moot_replay_stream_open(&stream, bytes);
    if (status != MOOT_OK) {
        return cli_fail("%s is no recording of moot: %s", replay->path, moot_status_text(status));
    }
    struct moot_player_calls calls = {replay, on_opened, on_before, on_after};
    moot_player_run(&stream, replay->picture != NULL, &calls, &result);
    if (replay->picture != NULL) {
        replay_picture_ended(replay->picture, &stream, &result);
    }
    int exit_status = say_result(replay, &stream, &result);
    moot_replay_stream_close(&stream);
    return exit_status;
}

/* A whole file in memory; false after saying why not. */
static bool map_file(const char *path, struct moot_slice *out)
{
    struct stat stat;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *bytes = NULL;
    if (fd < 0 || fstat(fd, &stat) != 0) {
        bytes = MAP_FAILED;
    } else if (stat.st_size > 0) {
        bytes = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    }
    if (bytes == MAP_FAILED) {
        cli_fail("%s cannot be read: %s", path, strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    *out =
        (struct moot_slice){bytes, bytes == NULL || bytes == MAP_FAILED ? 0 : (size_t)stat.st_size};
    return bytes != MAP_FAILED;
}

static void unmap_file(struct moot_slice file)
{
    if (file.data != NULL) {
        munmap((void *)file.data, file.size);
    }
}

/* The wall time of the last turn; 0: there is none. No brain is needed for that. */
static uint64_t last_wall_ms(struct moot_slice file)
{
    struct moot_replay_stream stream;
    struct moot_replay_record record;
    uint64_t last_ms = 0;
    if (moot_replay_stream_open(&stream, file) == MOOT_OK) {
        while (moot_replay_stream_next(&stream, &record)) {
            last_ms = record.kind == MOOT_REPLAY_TURN ? record.turn.now.wall_ms : last_ms;
        }
        moot_replay_stream_close(&stream);
    }
    return last_ms;
}

/* What is done with each file that was named. */
struct visit {
    const struct options *options;
    struct replay_picture *picture; /* NULL: none is wanted. */
    uint64_t last_ms;               /* look_at_end: of all files. */
    int (*file)(struct visit *visit, const char *path);
};

static int look_at_end(struct visit *visit, const char *path)
{
    struct moot_slice file;
    if (!map_file(path, &file)) {
        return CLI_FAILED;
    }
    visit->last_ms = moot_max_u64(visit->last_ms, last_wall_ms(file));
    unmap_file(file);
    return CLI_OK;
}

static int replay_file(struct visit *visit, const char *path)
{
    struct replay replay = {.options = visit->options, .path = path, .picture = visit->picture};
    struct moot_slice file;
    if (!map_file(path, &file)) {
        return CLI_FAILED;
    }
    int status = CLI_OK;
    if (visit->options->last.given && last_wall_ms(file) < visit->options->last_ms) {
        printf("%s: ends before that: left out\n", path);
    } else {
        status = replay_bytes(&replay, file);
    }
    unmap_file(file);
    fflush(stdout);
    return status;
}

static int is_recording(const struct dirent *entry)
{
    size_t size = strlen(entry->d_name);
    return size > 8 && strcmp(entry->d_name + size - 8, ".mootrec") == 0;
}

/* A file, or all of a folder, in the order they were made. */
static int visit_path(struct visit *visit, const char *path)
{
    struct stat stat_of;
    if (stat(path, &stat_of) == 0 && !S_ISDIR(stat_of.st_mode)) {
        return visit->file(visit, path);
    }
    struct dirent **names;
    int count = scandir(path, &names, is_recording, alphasort);
    if (count < 0) {
        return cli_fail("%s cannot be read: %s", path, strerror(errno));
    }
    int status = count > 0 ? CLI_OK : cli_fail("there is no recording in %s", path);
    for (int i = 0; i < count; i++) {
        char file[CLI_PATH_BYTES];
        snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name);
        int one = visit->file(visit, file);
        status = one != CLI_OK ? one : status;
        free(names[i]);
    }
    free(names);
    return status;
}

static int visit_all(struct visit *visit)
{
    int status = CLI_OK;
    for (size_t i = 0; i < visit->options->path_count; i++) {
        int one = visit_path(visit, visit->options->paths[i]);
        status = one != CLI_OK ? one : status;
    }
    return status;
}

int moot_cli_replay(int argc, char **argv)
{
    struct options options = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    struct visit visit = {.options = &options, .file = look_at_end};
    if (options.last.given) {
        int status = visit_all(&visit);
        if (status != CLI_OK) {
            return status;
        }
        uint64_t span_ms = options.last.age.ns / MOOT_MSEC_NS;
        options.last_ms = visit.last_ms > span_ms ? visit.last_ms - span_ms : 0;
    }
    visit.file = replay_file;
    visit.picture = options.html == NULL ? NULL : replay_picture_make(options.last_ms);
    int status = visit_all(&visit);
    if (visit.picture != NULL && !replay_picture_write(visit.picture, options.html)) {
        status = CLI_FAILED;
    }
    return status;
}
