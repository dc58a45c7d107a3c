/* The one table of limits. A number that bounds a queue, buffer, retry, timeout or input lives
 * here and nowhere else, with the reason for its size; relations between limits are asserted below
 * at compile time. */
#ifndef MOOT_BASE_LIMITS_H
#define MOOT_BASE_LIMITS_H

enum {
    /* Cluster */
    MOOT_MEMBERS_MAX = 9, /* Voters of one group: beyond this a majority costs more than it adds. */
    MOOT_LEARNERS_MAX = 8,    /* Learners of one group at a time. */
    MOOT_NODES_MAX = 64,      /* Of one cluster at once, with those that are listed as removed. */
    MOOT_NODE_ID_MAX = 65535, /* In a cluster's life: ids are never given twice. */
    MOOT_REMOVED_LISTED_MAX = 4, /* Of those that were removed the directory lists the last. */
    MOOT_PEERS_MAX = 2 * MOOT_NODES_MAX, /* Of which a node knows something: also who only links. */
    MOOT_GROUPS_MAX = 2,                 /* `system` and `db0`, until sharded keyspaces come. */
    MOOT_CLUSTER_ID_BYTES = 16,
    /* The rules that this release executes by. A group has the level that an entry of its log gave
     * it; a replica that does not know that level stops, rather than diverge. A limit below that
     * can change what an entry comes to changes together with it
     * (docs/decisions/limits-belong-to-the-feature-level.md). */
    MOOT_FEATURE_LEVEL = 3,
    MOOT_HOLES_LEVEL = 3,   /* Releases from this one on know the questions of group/holes.h. */
    MOOT_ADDRESS_MAX = 262, /* host name (255), colon, port, NUL. */
    MOOT_RECONCILE_MS = 50, /* Between looks whether members are those that the directory wants. */
    MOOT_FORM_MS = 500,     /* Between proposals of the first members to be a cluster. */
    MOOT_CAUGHT_UP_ENTRIES = 64, /* A learner votes when it lags by no more than these. */

    /* Values and keys */
    MOOT_KEY_MAX = 32 * 1024,
    MOOT_VALUE_MAX = 8 * 1024 * 1024, /* One value, and one bulk string. */
    MOOT_DATABASES = 16,

    /* Clients */
    MOOT_CLIENTS_MAX = 10000,
    MOOT_INLINE_MAX = 64 * 1024,       /* One inline command line. */
    MOOT_ARGS_MAX = 1024 * 1024,       /* Arguments of one command. */
    MOOT_REPLY_DEPTH_MAX = 32,         /* Arrays within arrays, of a reply that is read. */
    MOOT_QUERY_MAX = 16 * 1024 * 1024, /* Bytes of one command, all arguments. */
    MOOT_MULTI_COMMANDS_MAX = 10000,   /* Commands queued by one MULTI. */
    MOOT_WATCH_MAX = 1024,             /* Keys watched by one connection. */
    MOOT_NAME_MAX = 128,      /* Of a connection, as CLIENT SETNAME and SETINFO give it, and NUL. */
    MOOT_PEERNAME_MAX = 64,   /* Its far end: an IPv6 address with scope and port fits, and NUL. */
    MOOT_PIPELINE_MAX = 1024, /* Unanswered commands of a connection; then reading pauses. */
    MOOT_HELD_BYTES =
        64 * 1024, /* Unparsed, of a connection whose write waits; then reading pauses. */
    MOOT_OUTPUT_SOFT = 1 * 1024 * 1024, /* Unsent output at which a connection is no longer read. */
    MOOT_OUTPUT_HARD = 64 * 1024 * 1024, /* Unsent output at which it is closed. */
    /* Buffers of all clients together. Past the first, who holds more than the average is not read;
     * past the second, or if that lasts, the greediest are closed. The largest command and the
     * largest output of one client fit, and about 13 KiB each of as many clients as there may be.
     */
    MOOT_CLIENTS_SOFT_BYTES = 128 * 1024 * 1024,
    MOOT_CLIENTS_BYTES_MAX = 256 * 1024 * 1024,
    MOOT_CLIENTS_PATIENCE_MS = 10 * 1000,
    MOOT_CLIENTS_LOOK_MS = 100,       /* Between looks at all of them while they hold too much. */
    MOOT_ACCEPT_QUEUE = 1024,         /* Connections that the kernel has and the node not yet. */
    MOOT_FILES_BESIDE_CLIENTS = 1024, /* Descriptors kept for RocksDB, links, the journal. */
    MOOT_BLOCK_SECONDS_MAX = 1000 * 1000 * 1000, /* BLPOP waits so long; a year is 31 million. */

    MOOT_TURN_READ_BYTES = 16 * 1024 * 1024, /* Read from all sockets for one turn. */
    MOOT_LINGER_MS = 5000, /* A connection being closed may rest so long before it takes more. */

    /* When a node stops: for handing over leadership and what is under way; since clients last took
     * some replies; and for all of them together, however slowly they read. The kernel tells nobody
     * when a client has taken what it held, so it is looked at. */
    MOOT_STOP_MS = 2000,
    MOOT_STOP_GRACE_MS = 1000,
    MOOT_STOP_GRACE_MAX_MS = 2 * MOOT_LINGER_MS,
    MOOT_STOP_LOOK_MS = 20,

    /* Log and batches */
    MOOT_BATCH_BYTES_MAX =
        1024 * 1024, /* Bytes that an edge puts into one batch, unless one command is larger. */
    MOOT_BATCH_COMMANDS_MAX = 4096,          /* Commands of one batch. */
    MOOT_ENTRY_BYTES_MAX = 20 * 1024 * 1024, /* One log entry. */
    MOOT_APPEND_BYTES_MAX =
        1024 * 1024, /* Entries of one append message, unless one entry is larger. */
    MOOT_APPEND_ENTRIES_MAX = 1024,
    MOOT_APPEND_WINDOW = 16,   /* Append messages in flight to one follower. */
    MOOT_EDGE_BATCHES_MAX = 8, /* Unanswered write batches of one edge stream. */
    MOOT_EDGE_READS_MAX = 64,  /* And unanswered read batches. */
    /* Nothing answered for so long: an edge begins a new session. Twice and four times that, when
     * the one before was silent, too: a leader that is only slow is not given more to do. */
    MOOT_EDGE_SILENCE_MS = 400,
    MOOT_EDGE_SILENCES = 2,
    /* What a slow link carries of the questions meanwhile, for which it gets more time. */
    MOOT_EDGE_SLOW_BYTES_A_MS = 2 * 1024,
    /* An answer of which some bytes have come is waited for until no more came for so long. */
    MOOT_EDGE_STALL_MS = 2000,
    MOOT_EDGE_COMPANY_MS = 2, /* After an answer a small batch waits so long for its clients. */
    MOOT_EDGE_COMPANY = 64,   /* A batch of so many is not small: each costs little more. */
    MOOT_EDGE_QUEUE_BYTES_MAX =
        64 * 1024 * 1024, /* Commands waiting at an edge; then -OVERLOADED. */
    MOOT_EDGE_QUEUE_COMMANDS_MAX = 100000,
    MOOT_LOG_MEMORY_BYTES = 128 * 1024 * 1024, /* Entries kept in memory for followers; a slower one
                                                  gets a snapshot. */
    MOOT_LOG_ENTRIES_MAX = 128 * 1024,
    MOOT_LOG_UNCOMMITTED_BYTES =
        48 * 1024 * 1024,                    /* Appended, not committed; then a leader refuses. */
    MOOT_REPLY_RING_BYTES = 8 * 1024 * 1024, /* Last replies kept by each replica of a group. */
    MOOT_REPLY_RING_BATCHES = 4096,
    MOOT_HOLES_ASK_MS = 50,   /* Between questions about lost entries, while nothing comes back. */
    MOOT_WAITERS_MAX = 10000, /* Blocked clients of one group. */
    MOOT_WAITING_BYTES_MAX = 32 * 1024 * 1024, /* Their commands, at one edge; then -OVERLOADED. */
    MOOT_WAITERS_ASK_MS = 1000,  /* So often a leader asks whether waiters are still there, */
    MOOT_WAITERS_ASKED = 100,    /* about so many: about all that there may be in 100 s. */
    MOOT_WAITERS_LOOK_MS = 10,   /* Between looks at all waiters, while some are woken. */
    MOOT_WAITERS_AGAIN_MS = 200, /* A woken waiter of which nothing was heard is woken again, */
    /* and holds up those behind it no more after this: its node may be stopped. */
    MOOT_WAITERS_PATIENCE_MS = 1000,
    MOOT_SIGNALS_MAX =
        1024, /* Lists that grew in one entry; with more, every waiter is looked at. */
    MOOT_IDS_BYTES_MAX = 16 * 1024 * 1024, /* `WITH ID` records of one group. */
    MOOT_ID_MAX = 128,                     /* Bytes of one client id. */
    MOOT_ID_RETENTION_MS = 10 * 60 * 1000,
    MOOT_ID_AHEAD_MS = 60 * 1000,        /* How far a client's clock may be ahead of the log's. */
    MOOT_ID_REPLY_BYTES_MAX = 64 * 1024, /* Of a reply that is kept under an id. */
    MOOT_ID_REMOVE_MAX = 16, /* Old ids removed by one run, beside two for each new one. */

    /* Execution */
    /* Replies of one entry, or of one batch of reads from another node: they go as one message.
     * What is beyond is refused, with nothing done; but short replies are always given, because
     * most writes have one. */
    MOOT_REPLIES_BYTES_MAX = 18 * 1024 * 1024,
    MOOT_REPLIES_HERE_BYTES_MAX = 64 * 1024 * 1024, /* Of a batch of reads of the node's own. */
    MOOT_REPLY_SHORT_BYTES = 1024,
    MOOT_WRITE_ELEMENTS_MAX = 100000, /* Elements one write may touch. */
    /* Elements that one read may touch within a turn; a longer one goes on beside turns, on a
     * pinned snapshot, up to ... */
    MOOT_READ_ELEMENTS_MAX = 16 * 1024,
    MOOT_READ_BATCH_TIMES =
        8, /* A batch of reads: so many times that; its rest goes the same way. */
    MOOT_LONG_READ_ELEMENTS_MAX = 48 * 1024 * 1024, /* ... this: half a minute of one thread. */
    MOOT_LONG_READS_MAX = 32,    /* Long reads of one group at a time; then -OVERLOADED. */
    MOOT_LEFT_READS_MAX = 3,     /* That the log left, asked for again at a time, of one client. */
    MOOT_ELEMENT_NS = 2000,      /* What an element costs on a slow machine; most cost a third. */
    MOOT_EXPIRE_BATCH_MAX = 256, /* Keys expired by one entry. */
    MOOT_EXPIRE_MS = 100,        /* Between these, while fewer than that are due. */
    MOOT_CHAIN_MS = 1000,        /* Between comparisons of what replicas have executed, ... */
    MOOT_CHAIN_WINDOW = 1024,    /* ... by the hashes at the last so many entries. */
    MOOT_APPLY_ENTRIES_A_TURN = 64, /* What has committed beyond is executed in the next turn. */
    MOOT_TURN_ROUNDS_MAX = 64,      /* Local messages back and forth in one turn. */
    /* Changes stay above the store, where later ones replace them, until they are this many bytes
     * or this old. They are in the journal; the store only spares a restart from reading it. */
    MOOT_UNSTORED_BYTES = 16 * 1024 * 1024,
    MOOT_UNSTORED_KEYS = 16384, /* Handing them over holds up a turn for about 5 ms. */
    MOOT_UNSTORED_RANGES = 256, /* Deleted ones; who walks over garbage compares with each. */
    MOOT_UNSTORED_MS = 1000,
    MOOT_RECENT_BYTES = 256 * 1024 * 1024, /* Values remembered above the store, of one group. */
    MOOT_MISSES_MAX = 4096,                /* Keys that one run asks to be fetched. */
    MOOT_FETCH_ENTRIES = 4096, /* Of a range that was missed; of its rest four times as many, */
    MOOT_FETCH_ENTRIES_MAX = 1024 * 1024, /* up to this. */
    MOOT_COLLECT_AT_ONCE = 64, /* Elements that a deletion removes itself; more become garbage. */
    MOOT_COLLECT_MAX = 64,     /* Elements of garbage that one run removes, beside ... */
    MOOT_COLLECT_FOR_EACH = 4, /* ... these for each of its commands. */
    MOOT_LAYERS_MAX = 16,      /* Of one view: entry, item, command, and some. */

    /* Peer frames */
    MOOT_FRAME_BYTES_MAX = 64 * 1024,
    MOOT_MESSAGE_BYTES_MAX = 24 * 1024 * 1024, /* A peer message, put together from its frames. */
    MOOT_PEER_QUEUE_BYTES_MAX = 64 * 1024 * 1024,
    MOOT_PEER_URGENT_BYTES = 2 * 1024 * 1024, /* Of these, kept for urgent messages. */
    MOOT_MESSAGE_PARTS_MAX = 2048 + 16,       /* Blocks that one queued message may refer to. */

    /* Handshake of a link */
    MOOT_HANDSHAKE_MS = 3000,  /* From dialing or accepting to proven. */
    MOOT_REDIAL_MIN_MS = 20,   /* First cap of the back-off between dials; it doubles, */
    MOOT_REDIAL_MAX_MS = 1000, /* up to this. */
    MOOT_PART_MS = 100,        /* So often the brain is told what has come of a large message, */
    MOOT_PART_BYTES = 64,      /* by its first bytes, which say what it is. */
    MOOT_REDIAL_SILENCE_MS = 2000,   /* Then the node dials that should have been dialed. */
    MOOT_REDIAL_REMOVED_MS = 30000,  /* The same cap for one that only is to hear of its removal, */
    MOOT_TELL_REMOVED_MS = 600000,   /* which it is dialed for so long to hear. */
    MOOT_DIALS_TOLD = 12,            /* After so many dials a link is told only when it has held. */
    MOOT_UNLED_MS = 3000,            /* Who knows no leader for so long links with removed ones. */
    MOOT_TAKE_OVER_MS = 2000,        /* Then a leader that was removed is asked to hand over. */
    MOOT_STRANGER_MS = 30000,        /* A link of a node that nothing here names ends after this. */
    MOOT_HANDSHAKE_BYTES_MAX = 1024, /* One message of it, from somebody not yet known. */
    MOOT_SECRET_MAX = 1024,          /* The cluster secret. */
    MOOT_SECRET_MIN = 16,            /* One that is shorter can be guessed. */
    MOOT_STRANGER_TOLD_MS = 10 * 1000, /* One line so often, however many are refused. */

    /* Failure detection (advice only), and what a leader gives up for */
    MOOT_SWIM_INTERVAL_MS = 300, /* Each member asks one other, each so often, */
    MOOT_SWIM_TIMEOUT_MS = 150,  /* and asks others to ask after this. */
    MOOT_SWIM_JOIN_MS = 3000,    /* Between greetings to nodes that SWIM does not know. */
    MOOT_SWIM_FORGET_S = 86400,  /* A failed member is asked, now and then, for a day. */
    MOOT_SWIM_LEAVE_MS = 1000,   /* For telling others of a graceful stop. */
    /* A member is suspected for so many intervals, times the logarithm of how many members there
     * are, before it has failed; and up to so many times that while few others confirm it. */
    MOOT_SWIM_SUSPICION_TIMES = 5,
    MOOT_SWIM_SUSPICION_MAX_TIMES = 3,
    MOOT_SWIM_STRANGER_MS = 60 * 1000, /* One line so often of packets that prove nothing. */
    MOOT_LINK_BEAT_MS = 250, /* Each side of a link sends a beat so often, answered at once. */
    MOOT_LINK_GAP_MAX_MS = 4 * MOOT_LINK_BEAT_MS, /* A longer silence teaches phi no more. */
    MOOT_LINK_DEVIATION_MS = 100, /* Least deviation of the gaps: else punctual ones alarm soon. */
    MOOT_LINK_SLACK_MS = 200,     /* Added to their mean: a machine that is busy for a moment. */
    MOOT_LINK_ECHO_MAX_US = 60 * 1000 * 1000, /* An older answer says nothing of the link now. */
    MOOT_PHI_SUSPECT_MILLI = 8000, /* Silence of a link that contradicts SWIM's "alive". */
    MOOT_PHI_FAILED_MILLI = 32000, /* Silence of a link that agrees with SWIM's "dead". */
    MOOT_HEALTH_STALE_MS = 3000,   /* What detectors have not said again for so long is unknown. */
    MOOT_DISK_HUNG_MS = 2000,      /* No journal write has become durable for so long: it hangs. */
    MOOT_STOOD_STILL_MS = 500, /* Turns further apart: this process stood still, not its disk. */
    MOOT_DISK_AGAIN_MS = 1200, /* After a hand-over because of the disk that failed. */
    /* Below so many MiB, or this part of a small disk, growth is refused: what is left admits
     * deletes, settings and the log. A leader hands over, and rests so long when nobody else has
     * space either. */
    MOOT_DISK_LOW_MIB = 512,
    MOOT_DISK_LOW_PART = 4,
    MOOT_DISK_LOW_REST_MS = 600 * 1000,
    MOOT_DISK_FULL_PART = 4,   /* Below this part of that mark a follower takes nothing more. */
    MOOT_DISK_TELL_MS = 1000,  /* So often a follower tells the leader that it is short of space, */
    MOOT_DISK_WORD_MS = 3000,  /* which holds for so long. */
    MOOT_LINK_SLOW_TIMES = 10, /* A leader's round trips against those between others, ... */
    MOOT_LINK_SLOW_US = 50 * 1000,      /* ... when they are at least this, ... */
    MOOT_LINK_SLOW_MS = 2000,           /* ... for this long: it hands over, */
    MOOT_HAND_OVER_REST_MS = 10 * 1000, /* and not again for this long. */

    /* Journal */
    MOOT_JOURNAL_ALIGN = 4096,
    MOOT_JOURNAL_SEGMENT_BYTES = 64 * 1024 * 1024,
    MOOT_JOURNAL_SEGMENTS_MAX = 16,
    MOOT_JOURNAL_BATCH_BYTES_MAX = 32 * 1024 * 1024,
    /* Rotten places that a start tells apart, by group and entries. With more than these so much is
     * lost that every group counts as damaged. */
    MOOT_JOURNAL_LOSSES_MAX = 64,
    MOOT_JOURNAL_WHOLE_MAX = 8, /* Groups of which a batch has room to say that they are whole. */

    MOOT_HELD_SENDS_MAX = 4096, /* Raft's messages that wait for the disk; then more are lost. */
    MOOT_JOURNAL_QUEUE = 256,   /* Batches handed to the disk; then the turn loop waits. */
    MOOT_JOURNAL_RUN_BYTES = 1024 * 1024, /* Neighbouring batches written as one, together. */
    MOOT_JOURNAL_HERE_BYTES = 32 * 1024,  /* The loop itself writes up to this much at once, ... */
    MOOT_JOURNAL_HERE_US = 1000,          /* ... while the disk takes no longer, on average, ... */
    MOOT_JOURNAL_HERE_AFTER = 64,     /* ... and has not been much slower for this many writes. */
    MOOT_JOURNAL_HERE_NEVER_MS = 100, /* This is much slower: more than a heartbeat's time. */
    MOOT_JOURNAL_SPACE_MS = 200,      /* Between tries to make a segment on a full disk. */
    MOOT_IDLE_MARK_MS = 20, /* After the last batch: the mark that makes its durability known. */

    /* Store */
    MOOT_STORE_FLUSH_BYTES = 128 * 1024 * 1024, /* Journal bytes since the last flush effect. */
    MOOT_STORE_FLUSH_ENTRIES = 64 * 1024, /* Executed, not flushed: what a restart takes up. */
    MOOT_STORE_WRITE_BUFFER_BYTES = 256 * 1024 * 1024, /* RocksDB's own flush: well above ours. */
    MOOT_STORE_CACHE_BYTES = 128 * 1024 * 1024,
    MOOT_SNAPSHOT_CHUNK_BYTES = 256 * 1024,
    MOOT_SNAPSHOTS_PINNED_MAX = 4,
    MOOT_SNAPSHOT_RESEND_MS = 500,  /* A chunk that is not acknowledged is sent again, */
    MOOT_SNAPSHOT_RESENDS_MAX = 20, /* so often; then its receiver is given up, and asks anew. */
    MOOT_SNAPSHOT_LOOK_MS = 100,    /* Between looks at one that is sent or installed. */
    /* An install hears nothing for so long, and ends: well after its sender has given up. */
    MOOT_SNAPSHOT_SILENCE_MS = 15 * 1000,

    /* Checkers */
    MOOT_CHECK_CONFIGURATIONS_MAX = 4 * 1000 * 1000, /* Of one key; about 100 bytes each. */
    MOOT_CHECK_COMPARISONS = 64, /* Between configurations, for each that the budget allows. */
    MOOT_CHECK_CAUSAL_MAX = 50 * 1000 * 1000, /* Operations times processes: 200 MB of clocks. */
    MOOT_HISTORY_LINE_MAX = 1024 * 1024,      /* One line of a history's file. */
    MOOT_EDN_DEPTH_MAX = 32,                  /* Collections within collections of such a line. */
    MOOT_CHECK_STEPS_MAX =
        50 * 1000 * 1000, /* Edges looked at for a short cycle: about a second. */
    MOOT_CHECK_CLOSURE_MAX = 256 * 1024 * 1024, /* Bytes: who reaches whom among transactions. */
    MOOT_CHECK_PAIRS_MAX = 10 * 1000 * 1000,    /* Versions of a key whose order is looked for. */
    MOOT_CHECK_ORDER_MAX =
        1000 * 1000 * 1000,              /* Words of that closure looked at: about a second. */
    MOOT_CHECK_SHRINK_MAX = 1000 * 1000, /* Operations judged while evidence is made smaller. */
    MOOT_CHECK_PREFIX_MAX = 20 * 1000,   /* Configurations, to find where a history goes wrong. */

    /* Pictures */
    MOOT_PICTURE_EVENTS_MAX = 1000 * 1000, /* Of each sort; what is beyond is counted. */
    MOOT_PICTURE_LINES_MAX = 64,

    /* The flight recorder */
    MOOT_RECORD_CHUNK_BYTES = 256 * 1024, /* Of records, at which a chunk is handed to the disk, */
    MOOT_RECORD_CHUNK_MS = 50,            /* or at this age: what a killed process loses. */
    MOOT_RECORD_QUEUE_BYTES = 64 * 1024 * 1024, /* Waiting for the disk; then recording ends. */
    MOOT_RECORD_MB = 1024,                      /* Of a folder of recordings, on disk. */
    MOOT_REPLAY_CHUNK_MAX = 512 * 1024 * 1024,  /* The inputs of one turn must fit. */
    MOOT_REPLAY_CHUNK_KEEP = 4 * 1024 * 1024,   /* Memory kept between chunks. */
    MOOT_REPLAY_FILES_MAX = 1024,               /* Of one folder; each start makes one. */
    MOOT_RECORD_LEAST_MS = 1000,                /* Between beginnings of files, */
    MOOT_RECORD_AFTER_GAP_MS = 60 * 1000, /* and after one that ended early: a disk in trouble. */
    MOOT_RECORD_DEATH_MS = 2000, /* A process that dies waits so long for its last records. */

    /* A fresh brain in the same process, for a new recording (node_reopen.c) */
    MOOT_REOPEN_TOLD_MS = 5000,  /* From wishing to it: another may be away for the same reason. */
    MOOT_REOPEN_TURN_MS = 5000,  /* For a flush or two, and some batches. */
    MOOT_REOPEN_REST_MS = 2000,  /* For answers: they come sooner, or something is wrong. */
    MOOT_REOPEN_AGAIN_MS = 1000, /* Before the next try. */

    /* Time */
    MOOT_ELECTION_MS = 600, /* Least election time-out; the most is twice that. */
    MOOT_HEARTBEAT_MS = 75,
    MOOT_CLOCK_BOUND_MS = 500, /* How far a node's clock may be from the majority's. */
    /* A clock that leaps is believed when a majority agrees for so many election time-outs: what a
     * leader has heard is forgotten after four (raft/clock.c). */
    MOOT_CLOCK_AGREE_ELECTIONS = 5,
    MOOT_CLOCK_LEAP_NEAR_S = 120, /* Before a leap second, the bounded clock's error is a second. */
    MOOT_REQUEST_TIMEOUT_MS =
        5000, /* A command without an answer this long is in doubt, or surely not done. */
    MOOT_LONG_READ_MS = 120 * 1000, /* A read that the leader said is long may take this. */

    /* Subcommands that wait for nodes */
    MOOT_UP_READY_S = 60,           /* Until a new cluster serves writes, */
    MOOT_UP_ASK_MS = 1000,          /* and each question meanwhile. */
    MOOT_DOWN_MS = 30 * 1000,       /* Until nodes have stopped; then they are ended by force. */
    MOOT_JOIN_MS = 30 * 1000,       /* For being let into a cluster, */
    MOOT_JOIN_AGAIN_MS = 100,       /* asked for so often. */
    MOOT_STATUS_MS = 2000,          /* The node that is asked what it knows, */
    MOOT_STATUS_OTHERS_MS = 300,    /* and each other what it says of itself. */
    MOOT_CHANGE_ASK_MS = 10 * 1000, /* One question about a change of members, */
    MOOT_CHANGE_S = 600,            /* and the change: a new node may have much to catch up with. */
    MOOT_TRANSFER_S = 10,
};

_Static_assert(MOOT_QUERY_MAX >= 2 * MOOT_VALUE_MAX, "the largest value must fit a command");
_Static_assert(MOOT_ENTRY_BYTES_MAX >= MOOT_QUERY_MAX + 65536,
               "the largest command must fit an entry");
_Static_assert(MOOT_MESSAGE_BYTES_MAX >= MOOT_ENTRY_BYTES_MAX + 65536,
               "the largest entry must fit a message");
_Static_assert(MOOT_MESSAGE_BYTES_MAX >= MOOT_REPLIES_BYTES_MAX + (MOOT_BATCH_COMMANDS_MAX + 1) *
                                                                      (MOOT_REPLY_SHORT_BYTES + 16),
               "the replies of a batch must fit a message");
_Static_assert(MOOT_REPLIES_BYTES_MAX >= 2 * MOOT_VALUE_MAX + 65536,
               "two of the largest values must fit a reply");
_Static_assert(MOOT_PEER_QUEUE_BYTES_MAX >= MOOT_PEER_URGENT_BYTES + 2 * MOOT_MESSAGE_BYTES_MAX,
               "the largest message must fit a peer's queue");
_Static_assert(MOOT_MESSAGE_PARTS_MAX >= 2 * MOOT_APPEND_ENTRIES_MAX,
               "the entries of an append message must fit its parts");
_Static_assert(MOOT_HANDSHAKE_BYTES_MAX >= MOOT_ADDRESS_MAX + 256,
               "the longest address must fit a handshake");
_Static_assert(MOOT_JOURNAL_BATCH_BYTES_MAX >= MOOT_ENTRY_BYTES_MAX + 65536,
               "the largest entry must fit a journal batch");
_Static_assert(MOOT_JOURNAL_SEGMENT_BYTES >= MOOT_JOURNAL_BATCH_BYTES_MAX + MOOT_JOURNAL_ALIGN,
               "a batch must fit a segment");
_Static_assert(MOOT_FETCH_ENTRIES_MAX >= 2 * MOOT_READ_ELEMENTS_MAX,
               "a fetch can bring all that one command may touch");
_Static_assert(1LL * MOOT_READ_ELEMENTS_MAX * MOOT_ELEMENT_NS * 10 <=
                   1000LL * 1000 * MOOT_ELECTION_MS,
               "one read within a turn must be far shorter than an election time-out");
_Static_assert(1LL * MOOT_READ_ELEMENTS_MAX * (MOOT_READ_BATCH_TIMES + 1) * MOOT_ELEMENT_NS * 2 <=
                   1000LL * 1000 * MOOT_ELECTION_MS,
               "and all reads of a batch shorter");
_Static_assert(1LL * MOOT_WRITE_ELEMENTS_MAX * MOOT_ELEMENT_NS * 3 <=
                   1000LL * 1000 * MOOT_ELECTION_MS,
               "one write must be shorter than an election time-out");
_Static_assert(1LL * MOOT_LONG_READ_ELEMENTS_MAX * MOOT_ELEMENT_NS <=
                   1000LL * 1000 * MOOT_LONG_READ_MS,
               "the longest read must end in time");
_Static_assert(MOOT_LOG_UNCOMMITTED_BYTES < MOOT_LOG_MEMORY_BYTES,
               "what is not committed must be in memory");
_Static_assert(MOOT_STORE_FLUSH_ENTRIES <= MOOT_LOG_ENTRIES_MAX / 2,
               "a flush may be slow: what a restart takes up should fit the core's memory");
_Static_assert(MOOT_STORE_WRITE_BUFFER_BYTES >= 2 * MOOT_STORE_FLUSH_BYTES,
               "the node flushes by ticket before RocksDB does by itself");
_Static_assert(MOOT_SNAPSHOT_SILENCE_MS > MOOT_SNAPSHOT_RESEND_MS * MOOT_SNAPSHOT_RESENDS_MAX,
               "who installs a snapshot is the last to give up");
_Static_assert(MOOT_HEARTBEAT_MS * 4 <= MOOT_ELECTION_MS,
               "a few lost heartbeats must not start an election");
_Static_assert(MOOT_DISK_HUNG_MS >= 2 * MOOT_ELECTION_MS,
               "a transfer must have had time before a hung disk is given a second one");
_Static_assert(MOOT_DISK_AGAIN_MS >= 2 * MOOT_ELECTION_MS,
               "a hand-over must have had time to fail before the next");
_Static_assert(MOOT_CLOCK_AGREE_ELECTIONS > 4, "what was heard before the leap must be forgotten");
_Static_assert(MOOT_LINK_GAP_MAX_MS > MOOT_LINK_BEAT_MS + MOOT_LINK_SLACK_MS,
               "an ordinary gap must be learned from");
_Static_assert(MOOT_HEALTH_STALE_MS >= 4 * MOOT_LINK_BEAT_MS,
               "a few lost beats must not make a node unknown");
_Static_assert(MOOT_CLIENTS_SOFT_BYTES >= MOOT_OUTPUT_HARD + 2 * MOOT_QUERY_MAX,
               "one client with the largest command and output must not stop others");
_Static_assert(MOOT_CLIENTS_BYTES_MAX >= MOOT_CLIENTS_SOFT_BYTES + MOOT_REPLIES_HERE_BYTES_MAX,
               "the replies of one run must fit above the soft limit");
_Static_assert(MOOT_OUTPUT_HARD >= 2 * MOOT_VALUE_MAX,
               "the largest reply must fit the output buffer");

#endif
