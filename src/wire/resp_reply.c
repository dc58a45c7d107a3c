/* Reading replies: for our own clients, who read what we wrote. Not incremental: a torn reply is
 * looked at again from its start. */
#include "base/assert.h"
#include "base/limits.h"
#include "base/status.h"
#include "wire/resp.h"

static int head_number(struct moot_slice line, int64_t least, int64_t most, int64_t *number)
{
    if (!moot_slice_to_i64(line, number) || *number < least || *number > most) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    return MOOT_OK;
}

/* `$5\r\nhello\r\n`, of which `line` is the 5 and `behind` the offset of the h. */
static int read_bulk(struct moot_slice bytes, struct moot_slice line, size_t behind,
                     struct moot_resp_value *value, size_t *consumed)
{
    int64_t size;
    bool verbatim = value->type == MOOT_RESP_VERBATIM;
    int status = head_number(line, verbatim ? 4 : -1, MOOT_OUTPUT_HARD, &size);
    if (status != MOOT_OK) {
        return status;
    }
    if (size < 0) {
        value->type = MOOT_RESP_NULL;
        *consumed = behind;
        return MOOT_OK;
    }
    size_t end = behind + (size_t)size;
    if (bytes.size < end + 2) {
        return MOOT_EAGAIN;
    }
    if (bytes.data[end] != '\r' || bytes.data[end + 1] != '\n') {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    if (verbatim && bytes.data[behind + 3] != ':') {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    size_t skipped = verbatim ? 4 : 0;
    value->text = moot_slice_make(bytes.data + behind + skipped, (size_t)size - skipped);
    *consumed = end + 2;
    return MOOT_OK;
}

static int read_count(struct moot_slice line, struct moot_resp_value *value)
{
    bool may_be_null = value->type == MOOT_RESP_ARRAY;
    int64_t count;
    int status = head_number(line, may_be_null ? -1 : 0, MOOT_OUTPUT_HARD, &count);
    if (status != MOOT_OK) {
        return status;
    }
    if (count < 0) {
        value->type = MOOT_RESP_NULL;
        count = 0;
    }
    value->integer = count;
    return MOOT_OK;
}

/* Types that are all on one line. */
static int read_line(struct moot_slice line, struct moot_resp_value *value)
{
    switch (value->type) {
    case MOOT_RESP_SIMPLE:
    case MOOT_RESP_ERROR:
        value->text = line;
        return MOOT_OK;
    case MOOT_RESP_DOUBLE:
    case MOOT_RESP_BIG:
        value->text = line;
        return line.size > 0 ? MOOT_OK : MOOT_FAIL(MOOT_EINVALID);
    case MOOT_RESP_INTEGER:
        return head_number(line, INT64_MIN, INT64_MAX, &value->integer);
    case MOOT_RESP_NULL:
        return line.size == 0 ? MOOT_OK : MOOT_FAIL(MOOT_EINVALID);
    case MOOT_RESP_BOOLEAN:
        if (line.size != 1 || (line.data[0] != 't' && line.data[0] != 'f')) {
            return MOOT_FAIL(MOOT_EINVALID);
        }
        value->integer = line.data[0] == 't';
        return MOOT_OK;
    case MOOT_RESP_ARRAY:
    case MOOT_RESP_SET:
    case MOOT_RESP_PUSH:
    case MOOT_RESP_MAP:
        return read_count(line, value);
    default:
        return MOOT_FAIL(MOOT_EINVALID);
    }
}

static bool is_type(uint8_t mark) { return mark != 0 && memchr("+-:$*_,#%~>=(", mark, 13) != NULL; }

int moot_resp_read(struct moot_slice bytes, struct moot_resp_value *value, size_t *consumed)
{
    *consumed = 0;
    *value = (struct moot_resp_value){.type = MOOT_RESP_NULL};
    if (bytes.size == 0) {
        return MOOT_EAGAIN;
    }
    if (!is_type(bytes.data[0])) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    /* An error's text may quote what the client sent, so a line may be as long as a reply. */
    const uint8_t *cr = memchr(bytes.data, '\r', bytes.size);
    if (cr == NULL || cr + 1 == bytes.data + bytes.size) {
        return bytes.size > MOOT_OUTPUT_HARD ? MOOT_FAIL(MOOT_EINVALID) : MOOT_EAGAIN;
    }
    if (cr[1] != '\n') {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    struct moot_slice line = {bytes.data + 1, (size_t)(cr - bytes.data) - 1};
    size_t behind = line.size + 3;
    value->type = (enum moot_resp_type)bytes.data[0];
    if (value->type == MOOT_RESP_BULK || value->type == MOOT_RESP_VERBATIM) {
        return read_bulk(bytes, line, behind, value, consumed);
    }
    int status = read_line(line, value);
    if (status == MOOT_OK) {
        *consumed = behind;
    }
    return status;
}

int moot_resp_skip(struct moot_slice bytes, size_t *consumed)
{
    uint64_t left[MOOT_REPLY_DEPTH_MAX + 1]; /* Values still to come at each level. */
    size_t depth = 0, at = 0;
    *consumed = 0;
    left[0] = 1;
    for (;;) {
        while (left[depth] == 0) {
            if (depth == 0) {
                *consumed = at;
                return MOOT_OK;
            }
            depth--;
        }
        left[depth]--;
        struct moot_resp_value value;
        size_t size;
        int status =
            moot_resp_read(moot_slice_make(bytes.data + at, bytes.size - at), &value, &size);
        if (status != MOOT_OK) {
            return status;
        }
        at += size;
        MOOT_ASSERT(at <= bytes.size);
        switch (value.type) {
        case MOOT_RESP_ARRAY:
        case MOOT_RESP_SET:
        case MOOT_RESP_PUSH:
        case MOOT_RESP_MAP:
            if (depth == MOOT_REPLY_DEPTH_MAX) {
                return MOOT_FAIL(MOOT_EINVALID);
            }
            left[++depth] = (uint64_t)value.integer * (value.type == MOOT_RESP_MAP ? 2 : 1);
            break;
        default:
            break;
        }
    }
}
