// An instruction that Swift has no word for: the processor fetches a line of memory and does not wait for it.
static inline void confab_prefetch(const void *address) { __builtin_prefetch(address, 1, 3); }
