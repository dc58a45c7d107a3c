/* A disk in memory that fails as real ones do, when asked to and as its seed says.
 *
 * Model: a change is durable when its call returns, unless it is made in a *flight* (between begin
 * and end): then it is seen at once, but durable only after complete(). A crash keeps of each
 * flight that was not completed any beginning; the change at which it broke off is torn: of a write
 * each sector (of 512 bytes, or more) may be new, old or garbage; a created file may be too short.
 * Flights are independent of each other, so of several any subset survives.
 *
 * Not modelled: time (the world decides when to complete), and wear. */
#ifndef MOOT_SIM_DISK_SIM_H
#define MOOT_SIM_DISK_SIM_H

#include "storage/disk.h"

enum { MOOT_DISK_SIM_SECTOR = 512 };

struct moot_disk_sim;

struct moot_disk_sim *moot_disk_sim_make(uint64_t seed);
void moot_disk_sim_free(struct moot_disk_sim *sim);
/* The same disk as it is now, with what is in flight; armed faults are not copied. */
struct moot_disk_sim *moot_disk_sim_copy(const struct moot_disk_sim *sim, uint64_t seed);
struct moot_disk *moot_disk_sim_disk(struct moot_disk_sim *sim);

/* Changes until end() are of one flight, in order. Returns its number. Flights do not nest. */
uint64_t moot_disk_sim_begin(struct moot_disk_sim *sim);
void moot_disk_sim_end(struct moot_disk_sim *sim);
void moot_disk_sim_complete(struct moot_disk_sim *sim, uint64_t flight);
/* The power fails and comes back: flights are resolved, armed faults are gone, the disk works. */
void moot_disk_sim_crash(struct moot_disk_sim *sim);
/* Changes that crashes have not kept as they were, and writes among them that were torn. */
struct moot_disk_sim_losses {
    uint64_t unsynced, torn;
};
struct moot_disk_sim_losses moot_disk_sim_losses(const struct moot_disk_sim *sim);

/* Faults, each counted from now: 1 is the next change (create, remove, rename, write); 0 disarms.
 */
/* At the n-th the power fails: it and all after it answer MOOT_EIO, until crash(). */
void moot_disk_sim_crash_at(struct moot_disk_sim *sim, uint64_t n);
/* The n-th answers MOOT_EIO and may or may not be there, or be torn. When `persists`, all after it
 * answer MOOT_EIO too. */
void moot_disk_sim_fail_at(struct moot_disk_sim *sim, uint64_t n, bool persists);
/* The n-th, if it is a write, lands at `offset` of `name` instead and reports success. */
void moot_disk_sim_misdirect_at(struct moot_disk_sim *sim, uint64_t n, const char *name,
                                uint64_t offset);
/* The n-th, if it is a write, reports success and is nowhere. */
void moot_disk_sim_lose_at(struct moot_disk_sim *sim, uint64_t n);
/* The n-th read from now answers MOOT_EIO. */
void moot_disk_sim_fail_read_at(struct moot_disk_sim *sim, uint64_t n);
/* What a torn write is torn into: a multiple of 512 bytes, as it is at first. */
void moot_disk_sim_sector(struct moot_disk_sim *sim, uint64_t bytes);
/* Bytes of all files together at which create answers MOOT_ENOSPACE; 0: no limit. */
void moot_disk_sim_capacity(struct moot_disk_sim *sim, uint64_t bytes);

/* Rot: the byte is xored with `mask`. Whatever is in flight there rots with it. */
void moot_disk_sim_rot(struct moot_disk_sim *sim, const char *name, uint64_t offset, uint8_t mask);
/* Rot of `size` bytes, to garbage that differs from what was there. */
void moot_disk_sim_rot_range(struct moot_disk_sim *sim, const char *name, uint64_t offset,
                             uint64_t size);
/* The bytes of a file as a reader sees them; NULL when there is none. Valid until the next change.
 */
const uint8_t *moot_disk_sim_bytes(const struct moot_disk_sim *sim, const char *name,
                                   uint64_t *size);
/* How many changes have been made or tried. */
uint64_t moot_disk_sim_total(const struct moot_disk_sim *sim); /* Bytes of all files together. */
/* Overwrites bytes as if they had been written there, durably. */
void moot_disk_sim_overwrite(struct moot_disk_sim *sim, const char *name, uint64_t offset,
                             const uint8_t *bytes, uint64_t size);
uint64_t moot_disk_sim_changes(const struct moot_disk_sim *sim);
/* Over all names and bytes: two disks with the same content have the same. */
uint64_t moot_disk_sim_digest(const struct moot_disk_sim *sim);

#endif
