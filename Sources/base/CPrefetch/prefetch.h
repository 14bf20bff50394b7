// Swift has no prefetch instruction: the processor loads a cache line and does not wait for it.
static inline void confab_prefetch(const void *address) { __builtin_prefetch(address, 1, 3); }
