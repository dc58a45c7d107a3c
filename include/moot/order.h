/* The four ways in which two histories can stand to each other.
 *
 * Intuition: numbers know three answers, less, equal and greater. Histories know a fourth: neither
 * has seen the other. Lamport (1978) showed that "happened before" is only a partial order; every
 * clock of this library that tells the fourth answer apart uses these names. */
#ifndef MOOT_ORDER_H
#define MOOT_ORDER_H

#include "moot/base.h"

enum moot_order {
    MOOT_ORDER_EQUAL,
    MOOT_ORDER_BEFORE, /* The first is part of the second's past. */
    MOOT_ORDER_AFTER,
    MOOT_ORDER_CONCURRENT,
};

/* What is known once each side has been asked: does it know something that the other does not? */
static inline enum moot_order moot_order_of(bool first_has_more, bool second_has_more)
{
    if (first_has_more) {
        return second_has_more ? MOOT_ORDER_CONCURRENT : MOOT_ORDER_AFTER;
    }
    return second_has_more ? MOOT_ORDER_BEFORE : MOOT_ORDER_EQUAL;
}
static inline const char *moot_order_text(enum moot_order order)
{
    switch (order) {
    case MOOT_ORDER_EQUAL:
        return "equal";
    case MOOT_ORDER_BEFORE:
        return "before";
    case MOOT_ORDER_AFTER:
        return "after";
    case MOOT_ORDER_CONCURRENT:
        return "concurrent";
    }
    return "unknown";
}

#endif
