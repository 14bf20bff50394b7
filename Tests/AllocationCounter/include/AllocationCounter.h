#ifndef ALLOCATION_COUNTER_H
#define ALLOCATION_COUNTER_H

/// Whether allocations are counted: not in a binary with a sanitizer, which has an allocator of its own.
_Bool allocation_counter_works(void);

/// How often the calling thread has asked for memory since it began.
unsigned long allocation_counter_count(void);

#endif
