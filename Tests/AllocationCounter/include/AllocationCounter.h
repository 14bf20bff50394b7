#ifndef ALLOCATION_COUNTER_H
#define ALLOCATION_COUNTER_H

/// Whether allocations are counted. They are not in a binary with a sanitizer, which has its own
/// allocator.
_Bool allocation_counter_works(void);

/// The number of allocations of the calling thread since it started.
unsigned long allocation_counter_count(void);

#endif
