/* The journal: one write-ahead log a node, for everything that must be durable before it is
 * acknowledged.
 *
 * A journal is a ring of pre-written, recycled segment files of MOOT_JOURNAL_SEGMENT_BYTES. A
 * *batch* is what one turn wants durable: records of any groups, laid out as one aligned run of
 * MOOT_JOURNAL_ALIGN blocks and written with one durable write. The batch header has its own
 * checksum and holds: magic and version, segment generation, batch number, length, the chain value
 * (hash of the previous batch's header and body), *the greatest batch number known durable when it
 * was written*, and the list (group, first index, last index) of what it carries, so that a bad
 * body still says what is lost. Padding is zero and covered by the checksum.
 *
 * Recovery reads all segments in order of generation. A bad batch does not end the scan: it goes on
 * to the next aligned header of the same generation, to learn the greatest durable mark anywhere.
 * Then, for each bad or missing batch number b: b <= the greatest durable mark seen: it had been
 * acknowledged: ROT. Each group that it named (or all groups, when its header is bad too) is
 * impaired: it neither votes nor acknowledges until repaired from peers. b >  that mark: TORN:
 * never acknowledged; it and all after it are cut, and the cut is made durable before new writes.
 * An idle node writes a closing mark (an empty batch) soon after its last batch, so that a rotten
 * tail is not taken for a torn one. DESIGN section 8; PITFALLS section 2; Alagappan et al.,
 * "Protocol-Aware Recovery", FAST 2018.
 *
 * The journal is pure: it lays out bytes and reads a struct moot_disk. The driver decides when and
 * on which thread to write a laid-out batch. */
#ifndef MOOT_STORAGE_JOURNAL_H
#define MOOT_STORAGE_JOURNAL_H

#include "base/buffer.h"
#include "base/limits.h"
#include "moot/quorum.h"
#include "storage/disk.h"

enum moot_record_kind {
    MOOT_RECORD_IDENTITY = 1,   /* Node: cluster id, node id, incarnation. Repeated at the start of
                                   each segment's first batch. */
    MOOT_RECORD_HARD_STATE = 2, /* Group: term, vote. */
    MOOT_RECORD_ENTRY = 3, /* Group: index, term, raft kind, bytes. Everything at or above index
                              that came before is void. */
    MOOT_RECORD_SNAPSHOT =
        4, /* Group: the log now starts after (index, term) with members: entries at or below are
              void, and those above too unless the entry at index has that term (at or below what
              was freed it may be gone from here: then it agrees, because it was committed). Or it
              says itself that it `voids` them: the entry at index was another, and may go first. */
    MOOT_RECORD_FREED = 5, /* Group: entries at or below index may be gone from here; they are in
                              the store. The journal's own, in each batch that retires a segment:
                              so a store that has not got them is known for another one. Until an
                              entry or a snapshot below it comes: the store was another one, and
                              its replica began again (database/group/lost.c). */
};

/* One record to write, or read back. Slices are the caller's. */
struct moot_record {
    enum moot_record_kind kind;
    moot_group_id group;
    moot_index index;
    moot_term term;
    moot_node_id vote;       /* HARD_STATE */
    uint64_t batch;          /* Read back: its batch; 0: it was carried forward. */
    bool voids;              /* SNAPSHOT: what was above it is void, too. */
    uint8_t entry_kind;      /* ENTRY: enum moot_raft_entry_kind */
    struct moot_slice bytes; /* ENTRY: the envelope. SNAPSHOT: encoded members. IDENTITY: opaque to
                                the journal. */
};

struct moot_journal; /* opaque */

struct moot_journal_options {
    uint64_t segment_bytes; /* Tests use small ones. */
    uint32_t segments_max;
};

/* Where one batch goes. `bytes` is aligned, owned by the journal's caller: see moot_journal_layout.
 */
struct moot_journal_write {
    char segment[32]; /* File name. */
    uint64_t offset;
    uint64_t batch;       /* Its number: the ticket. */
    bool creates_segment; /* The driver calls disk->create, or recycles, before the write. */
    char recycles[32];    /* When not empty: the retired file to rename to `segment`. */
    bool carries;         /* It has records that were carried forward. */
};

/* What recovery found. */
enum moot_damage { MOOT_DAMAGE_NONE, MOOT_DAMAGE_TORN, MOOT_DAMAGE_ROT };
struct moot_journal_loss {
    moot_group_id group;    /* UINT32_MAX: every group. */
    moot_index first, last; /* Of entries and snapshots, as the header said: 0..UINT64_MAX when it
                               is unreadable, 0..0 when only hard states were lost. */
    uint64_t batch; /* Records of later batches came after it. UINT64_MAX: nobody knows which. */
    bool frees;     /* It retired segments, so a FREED may be lost. */
};
struct moot_journal_report {
    enum moot_damage damage;
    /* Of what stands; bytes: of record contents. */
    uint64_t batches, records, bytes;
    uint64_t torn_batches, rotten_batches; /* A rotten batch may have held nothing: no losses. */
    uint64_t durable_seen;                 /* Greatest durable mark found. */
    /* The greatest rotten batch whose hard states nobody repeats: the next one is rotten, too, or
     * of a later start. A group that lost something knows its hard state when one stands behind
     * this. */
    uint64_t hard_lost;
    /* Of each of the first groups: the greatest batch that stands and says that it is whole
     * (moot_journal_whole). What comes later was written by one who had dropped part of a log, or
     * perhaps by an older program. 0: there is none. */
    uint64_t whole_batch[MOOT_JOURNAL_WHOLE_MAX];
    struct moot_journal_loss
        losses[MOOT_JOURNAL_LOSSES_MAX]; /* ROT only. When more: one for every group. */
    uint32_t loss_count;
};

/* Opens a journal on `disk`: recovers, cuts a torn tail, and calls `visit` for every record that
 * stands, in the order it was written (the caller applies the "void" rules above). Records that
 * were carried forward come first: they are older than all others. A status that `visit` returns
 * ends the open. On success all that was visited is durable, and marked so: one small write, when
 * it was not. A fresh disk gives an empty journal. MOOT_EIO, MOOT_EVERSION (a newer format: nothing
 * is changed), MOOT_ECORRUPT (no structure can be made out at all). */
int moot_journal_open(struct moot_disk *disk, const struct moot_journal_options *options,
                      int (*visit)(void *context, const struct moot_record *record), void *context,
                      struct moot_journal_report *report, struct moot_journal **out) MOOT_MUST_USE;
void moot_journal_close(struct moot_journal *journal);

/* Who writes hard states repeats them in the next batch, and all of them after a batch that says
 * `carries`: then no single rotten batch takes the last copy (see hard_lost).
 *
 * Lays out the next batch of `count` records (0: a closing mark) into `out`, replacing what was
 * there (size a multiple of the alignment; its memory must be aligned by the caller when it writes:
 * see moot_journal_write_now). `durable` is the greatest batch number known durable; 0 and up.
 * Batches must be written in the order they were laid out; several may be in flight.
 * MOOT_ENOSPACE: all segments are in use: compact and free first (never when the first record is
 * the IDENTITY of a start). MOOT_ELIMIT: over MOOT_JOURNAL_BATCH_BYTES_MAX, or over a segment.
 * After either nothing has changed. */
int moot_journal_layout(struct moot_journal *journal, const struct moot_record *records,
                        size_t count, uint64_t durable, struct moot_buffer *out,
                        struct moot_journal_write *where) MOOT_MUST_USE;
/* What all batches from now on say: of these groups (bit i: group i) the records up to the batch's
 * end tell what the log was. Not of one that has lost part of its log and goes on without it, until
 * it has been given back: its log breaks off where that of before it went on. After open: no
 * groups when there is a loss, else all. */
void moot_journal_whole(struct moot_journal *journal, uint32_t groups);
/* Performs a laid-out write on a disk: creates or recycles the segment when asked, then writes.
 * Safe on another thread: touches only its arguments. `bytes` must be aligned memory (the posix
 * disk takes any, through a buffer of its own). MOOT_ENOSPACE: the segment could not be made and
 * nothing was written; the same call may be made again, and no later batch before it. MOOT_EIO: the
 * process must end. */
int moot_journal_write_now(struct moot_disk *disk, uint64_t segment_bytes,
                           const struct moot_journal_write *where, const void *bytes,
                           size_t size) MOOT_MUST_USE;

/* Group `group` no longer needs its records at or below `index` (they are in the store, durably),
 * nor its hard state and snapshot records older than those given again since. Segments all of whose
 * records are free are retired for recycling. The newest HARD_STATE and SNAPSHOT of each group and
 * the IDENTITY are carried forward by the journal itself, into the next batch, when their segment
 * is retired. */
void moot_journal_free(struct moot_journal *journal, moot_group_id group, moot_index index);
/* Entries that keep the oldest segment from being freed: the group and its last index there, so
 * that the node can flush or carry forward the slowest. False when only one segment is in use. */
bool moot_journal_oldest(const struct moot_journal *journal, moot_group_id *group,
                         moot_index *last);
/* Who must carry entries forward writes them again, from the first that is needed, in one batch:
 * that makes the old ones void, and the batch itself retires their segments. The last segment is
 * kept for such a batch, so a full journal takes it. */
uint64_t moot_journal_bytes(const struct moot_journal *journal); /* Of segments in use. */
/* The greatest batch number laid out or recovered. What open found is durable. */
uint64_t moot_journal_last(const struct moot_journal *journal);
/* `group` (or UINT32_MAX: every group), reported lost by open, has been repaired from peers and its
 * new hard state, snapshot and entries are in the journal. Until all are, no segment is retired;
 * and until the segment with the loss is, each open reports it again. Returns the generation of
 * what was the newest segment, for moot_journal_is_past. */
uint64_t moot_journal_repaired(struct moot_journal *journal, moot_group_id group);

/* ---- a planned restart: so that the next open reads little ---- */

/* From here on batches go to files of zeros: first to a new one, and none is recycled until
 * turn_back. Returns the generation of what was the newest segment; 0: there is none. */
uint64_t moot_journal_turn_over(struct moot_journal *journal);
void moot_journal_turn_back(struct moot_journal *journal);
/* True once all segments up to that generation are retired, durably (`durable` as for layout). Else
 * *wants_batch: a batch now, if only a closing mark, brings that nearer; when false, it is for what
 * they hold to be freed. */
bool moot_journal_is_past(struct moot_journal *journal, uint64_t generation, uint64_t durable,
                          bool *wants_batch);
/* The name of a file without live batches, for the caller to remove: the journal forgets it. False
 * when there is none. */
bool moot_journal_take_spare(struct moot_journal *journal, char name[32]);

#endif
