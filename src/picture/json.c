/* The data of a page, and the page (docs/picture.md). */
#include <string.h>

#include "base/assert.h"
#include "base/slice.h"
#include "picture/internal.h"

/* ---- texts ---- */

static size_t utf8_size(struct moot_slice text, size_t at)
{
    uint8_t first = text.data[at];
    size_t size = first < 0x80 ? 1 : first >= 0xc2 && first < 0xe0 ? 2 : 0;
    size = first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xf0 && first < 0xf5 ? 4 : size;
    if (size == 0 || at + size > text.size) {
        return 0;
    }
    for (size_t i = 1; i < size; i++) {
        if ((text.data[at + i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    uint8_t second = size > 1 ? text.data[at + 1] : 0; /* Overlong, surrogate, beyond the last. */
    bool wrong = (first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
                 (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f);
    return wrong ? 0 : size;
}

static void append_hex(struct moot_buffer *out, const char *before, uint8_t byte)
{
    static const char digits[] = "0123456789abcdef";
    char hex[2] = {digits[byte >> 4], digits[byte & 15]};
    moot_buffer_append_text(out, before);
    moot_buffer_append(out, hex, sizeof(hex));
}

/* Nothing in it can end the script element that the data stands in. */
static void append_text(struct moot_buffer *out, struct moot_slice text)
{
    moot_buffer_append_text(out, "\"");
    for (size_t at = 0; at < text.size;) {
        size_t size = utf8_size(text, at);
        uint8_t byte = text.data[at];
        if (size == 0) {
            append_hex(out, "\\\\x", byte);
        } else if (byte == '\n') {
            moot_buffer_append_text(out, "\\n");
        } else if (byte < 0x20 || byte == 0x7f || strchr("<>&\"\\", byte) != NULL) {
            append_hex(out, "\\u00", byte);
        } else {
            moot_buffer_append(out, text.data + at, size);
        }
        at += size == 0 ? 1 : size;
    }
    moot_buffer_append_text(out, "\"");
}

static void append_field(struct moot_buffer *out, const char *before, uint64_t value)
{
    moot_buffer_append_text(out, before);
    moot_buffer_append_u64(out, value);
}

static void append_line(struct moot_buffer *out, const char *before, uint32_t line)
{
    moot_buffer_append_text(out, before);
    moot_buffer_append_i64(out, line == MOOT_PICTURE_NOBODY ? -1 : (int64_t)line);
}

static void append_named(struct moot_buffer *out, const char *name, struct moot_slice text)
{
    moot_buffer_append_text(out, ",\"");
    moot_buffer_append_text(out, name);
    moot_buffer_append_text(out, "\":");
    append_text(out, text);
}

static void append_texts(struct moot_buffer *out, const char *name, const struct moot_slice *texts,
                         size_t count)
{
    moot_buffer_append_text(out, ",\n\"");
    moot_buffer_append_text(out, name);
    moot_buffer_append_text(out, "\":[");
    for (size_t i = 0; i < count; i++) {
        moot_buffer_append_text(out, i == 0 ? "" : ",");
        append_text(out, texts[i]);
    }
    moot_buffer_append_text(out, "]");
}

/* ---- things ---- */

static void append_lines(const struct moot_picture *picture, struct moot_buffer *out)
{
    moot_buffer_append_text(out, ",\n\"lines\":[");
    for (uint32_t i = 0; i < picture->line_count; i++) {
        const struct picture_line *line = &picture->lines[i];
        moot_buffer_append_text(out, i == 0 ? "" : ",");
        moot_buffer_append_text(out, line->sort == MOOT_PICTURE_NODE ? "{\"sort\":\"node\""
                                                                     : "{\"sort\":\"client\"");
        append_named(out, "name", line->name);
        moot_buffer_append_text(out, "}");
    }
    moot_buffer_append_text(out, "]");
}

static void append_message(const void *item, struct moot_buffer *out)
{
    static const char *const fates[] = {"way", "ok", "lost"};
    const struct picture_message *message = item;
    append_field(out, "[", message->kind);
    append_line(out, ",", message->from);
    append_line(out, ",", message->to);
    append_field(out, ",", message->sent);
    moot_buffer_append_text(out, ",");
    moot_buffer_append_i64(out, message->fate == PICTURE_ON_THE_WAY ? -1 : (int64_t)message->ended);
    moot_buffer_append_text(out, ",\"");
    moot_buffer_append_text(out, fates[message->fate]);
    moot_buffer_append_text(out, "\",");
    append_text(out, message->text);
    if (message->fate == PICTURE_LOST) {
        moot_buffer_append_text(out, ",");
        append_text(out, message->why);
    }
    moot_buffer_append_text(out, "]");
}

static void append_role(const void *item, struct moot_buffer *out)
{
    const struct picture_role *role = item;
    append_line(out, "[", role->line);
    append_field(out, ",", role->track);
    append_field(out, ",", role->at);
    moot_buffer_append_text(out, ",");
    append_text(out, role->role);
    append_field(out, ",", role->epoch);
    moot_buffer_append_text(out, "]");
}

static void append_state(const void *item, struct moot_buffer *out)
{
    const struct picture_state *state = item;
    append_line(out, "[", state->line);
    append_field(out, ",", state->at);
    append_field(out, ",", state->field);
    moot_buffer_append_text(out, ",");
    if (state->is_number) {
        moot_buffer_append_slice(out, state->value);
    } else {
        append_text(out, state->value);
    }
    moot_buffer_append_text(out, "]");
}

static void append_moment(const void *item, struct moot_buffer *out)
{
    static const char *const sorts[] = {
#define X(name, text) text,
        MOOT_PICTURE_MOMENTS(X)
#undef X
    };
    const struct picture_moment *moment = item;
    append_line(out, "[", moment->line);
    append_field(out, ",", moment->at);
    moot_buffer_append_text(out, ",\"");
    moot_buffer_append_text(out, sorts[moment->sort]);
    moot_buffer_append_text(out, "\",");
    append_text(out, moment->text);
    moot_buffer_append_text(out, "]");
}

static void append_set(struct moot_buffer *out, uint64_t set)
{
    const char *before = ",[";
    for (uint32_t i = 0; i < 64; i++) {
        if ((set >> i & 1) != 0) {
            append_field(out, before, i);
            before = ",";
        }
    }
    moot_buffer_append_text(out, set == 0 ? ",[]" : "]");
}

static void append_fault(const void *item, struct moot_buffer *out)
{
    const struct moot_picture_fault *fault = item;
    append_field(out, "[", fault->from);
    moot_buffer_append_text(out, ",");
    moot_buffer_append_i64(out, fault->until == UINT64_MAX ? -1 : (int64_t)fault->until);
    moot_buffer_append_text(out, ",");
    append_text(out, fault->name);
    append_set(out, fault->lines);
    append_set(out, fault->others);
    moot_buffer_append_text(out, ",");
    append_text(out, fault->text);
    moot_buffer_append_text(out, "]");
}

static void append_operation(const void *item, struct moot_buffer *out)
{
    static const char *const outcomes[] = {"open", "ok", "fail", "in doubt"};
    const struct moot_picture_operation *operation = item;
    append_line(out, "[", operation->line);
    append_line(out, ",", operation->by);
    append_field(out, ",", operation->called);
    moot_buffer_append_text(out, ",");
    moot_buffer_append_i64(
        out, operation->outcome == MOOT_PICTURE_OPEN ? -1 : (int64_t)operation->returned);
    moot_buffer_append_text(out, ",\"");
    moot_buffer_append_text(out, outcomes[operation->outcome]);
    moot_buffer_append_text(out, "\",");
    append_text(out, operation->asked);
    moot_buffer_append_text(out, ",");
    append_text(out, operation->answer);
    append_field(out, ",", operation->is_wrong ? 2 : operation->is_evidence ? 1 : 0);
    moot_buffer_append_text(out, "]");
}

static void append_array(struct moot_buffer *out, const char *name,
                         const struct picture_array *array, size_t size,
                         void (*append)(const void *item, struct moot_buffer *out))
{
    moot_buffer_append_text(out, ",\n\"");
    moot_buffer_append_text(out, name);
    moot_buffer_append_text(out, "\":[");
    for (size_t i = 0; i < array->count; i++) {
        moot_buffer_append_text(out, i == 0 ? "\n" : ",\n");
        append((const uint8_t *)array->items + i * size, out);
    }
    moot_buffer_append_text(out, "]");
}

void moot_picture_json(struct moot_picture *picture, uint64_t end, struct moot_buffer *out)
{
    end = moot_max_u64(end, picture->latest);
    end = moot_max_u64(moot_min_u64(end, picture->until), picture->from);
    moot_buffer_append_text(out, "{\"picture\":1");
    append_named(out, "title", picture->title);
    append_named(out, "subtitle", picture->subtitle);
    append_named(out, "wrong", picture->wrong);
    append_field(out, ",\"begin\":", picture->from);
    append_field(out, ",\"end\":", end);
    append_field(out, ",\"leftOut\":", picture->left_out);
    append_lines(picture, out);
    append_texts(out, "tracks", picture->tracks, PICTURE_TRACKS_MAX);
    append_texts(out, "kinds", picture->kinds.items, picture->kinds.count);
    append_texts(out, "fields", picture->fields.items, picture->fields.count);
    append_array(out, "roles", &picture->roles, sizeof(struct picture_role), append_role);
    append_array(out, "states", &picture->states, sizeof(struct picture_state), append_state);
    append_array(out, "moments", &picture->moments, sizeof(struct picture_moment), append_moment);
    append_array(out, "faults", &picture->faults, sizeof(struct moot_picture_fault), append_fault);
    append_array(out, "operations", &picture->operations, sizeof(struct moot_picture_operation),
                 append_operation);
    append_array(out, "messages", &picture->messages, sizeof(struct picture_message),
                 append_message);
    moot_buffer_append_text(out, "}\n");
}

/* The page says where the data goes with a line of its own. */
void moot_picture_page(struct moot_picture *picture, uint64_t end, struct moot_buffer *out)
{
    static const char mark[] = "@DATA@";
    struct moot_slice page = {picture__page, (size_t)picture__page_size};
    size_t at = 0;
    while (at + sizeof(mark) - 1 < page.size &&
           memcmp(page.data + at, mark, sizeof(mark) - 1) != 0) {
        at++;
    }
    MOOT_ASSERT(at + sizeof(mark) - 1 < page.size);
    moot_buffer_append(out, page.data, at);
    moot_picture_json(picture, end, out);
    at += sizeof(mark) - 1;
    moot_buffer_append(out, page.data + at, page.size - at);
}
