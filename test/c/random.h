/* What a thread draws from one number, and a hash of what it met. */
#pragma once
#include <stddef.h>
#include <stdint.h>

static __thread uint64_t state, hash;

/* From 0 to n - 1. */
static inline unsigned below(unsigned n)
{
	state = state * 6364136223846793005u + 1442695040888963407u; /* Knuth, MMIX */
	return (unsigned)(state >> 33) % n;
}

/* FNV-1a */
static inline void note_bytes(const volatile void *from, size_t count)
{
	for (size_t i = 0; i < count; i++)
		hash = (hash ^ ((const volatile unsigned char *)from)[i]) * 1099511628211u;
}

static inline void note(uint64_t value)
{
	note_bytes(&value, sizeof value);
}
