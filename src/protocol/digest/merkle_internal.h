/* Inside the digest module: the shape of a tree. */
#ifndef MOOT_PROTOCOL_DIGEST_MERKLE_INTERNAL_H
#define MOOT_PROTOCOL_DIGEST_MERKLE_INTERNAL_H

#include "moot/merkle.h"

uint32_t merkle__level(const struct moot_merkle *tree, uint32_t node);
/* How many children a node has, and the first of them; 0 for a leaf. */
uint32_t merkle__children(const struct moot_merkle *tree, uint32_t node, uint32_t *first);

#endif
