# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The loops of batching: cutting an order of sentences into batches, and gathering their ids into flat arrays.

A set of sentences is one flat int32 array of ids and int64 offsets: sentence i is ids[offsets[i]:offsets[i + 1]].
"""

import numpy as np

from libc.stdint cimport INT32_MAX, int32_t, int64_t, uintptr_t
from libc.string cimport memcpy


cdef int _check_aligned(str where, const void* data, size_t size) except -1:
    if <uintptr_t> data % size:
        raise ValueError(f"[{where}] expected aligned arrays, got one that begins at an odd address")
    return 0


cdef int64_t _cut(
    const int32_t* source, const int32_t* target, int64_t count, int64_t max_tokens, int64_t max_sentences,
    int64_t* ends
) noexcept nogil:
    # Greedy: a batch closes before the sentence that would take either side over the limit.
    cdef int64_t batches = 0, start = 0, source_tokens = 0, target_tokens = 0, i
    for i in range(count):
        source_tokens += source[i]
        target_tokens += target[i]
        if i > start and (
            source_tokens > max_tokens or target_tokens > max_tokens or i - start >= max_sentences
        ):
            ends[batches] = i
            batches += 1
            start = i
            source_tokens = source[i]
            target_tokens = target[i]
    if count > start:
        ends[batches] = count
        batches += 1
    return batches


def cut_batches(
    const int32_t[::1] source_lengths, const int32_t[::1] target_lengths, int64_t max_tokens, int64_t max_sentences
):
    """The ends of batches (int64) that cut the given order of sentences.

    Neither the source tokens nor the target tokens of a batch exceed `max_tokens`; a sentence longer than that is a
    batch by itself. `max_sentences` bounds the sentences of a batch.
    """
    cdef int64_t count = source_lengths.shape[0]
    if target_lengths.shape[0] != count:
        raise ValueError(f"[cut_batches] expected {count} target lengths, got {target_lengths.shape[0]}")
    if max_tokens < 1 or max_sentences < 1:
        raise ValueError(f"[cut_batches] expected limits of at least 1, got {max_tokens} and {max_sentences}")
    ends = np.empty(count, dtype=np.int64)
    if count == 0:
        return ends
    _check_aligned("cut_batches", &source_lengths[0], sizeof(int32_t))
    _check_aligned("cut_batches", &target_lengths[0], sizeof(int32_t))
    cdef int64_t[::1] view = ends
    cdef int64_t batches
    with nogil:
        batches = _cut(&source_lengths[0], &target_lengths[0], count, max_tokens, max_sentences, &view[0])
    return ends[:batches].copy()


cdef int64_t _packed_size(
    const int64_t* offsets, int64_t sentences, int64_t size, const int64_t* chosen, int64_t count, int64_t extra
) noexcept nogil:
    # -1 for a sentence that does not exist or offsets that leave the ids, -2 for more tokens than int32 offsets hold.
    cdef int64_t total = 0, i, begin, end
    for i in range(count):
        if chosen[i] < 0 or chosen[i] >= sentences:
            return -1
        begin = offsets[chosen[i]]
        end = offsets[chosen[i] + 1]
        if begin < 0 or end < begin or end > size:
            return -1
        total += end - begin + extra
        if total > INT32_MAX:
            return -2
    return total


cdef void _pack(
    const int32_t* ids, const int64_t* offsets, const int64_t* chosen, int64_t count, int64_t first, int64_t last,
    int32_t* packed, int32_t* packed_offsets
) noexcept nogil:
    cdef int64_t position = 0, i, begin, length
    packed_offsets[0] = 0
    for i in range(count):
        begin = offsets[chosen[i]]
        length = offsets[chosen[i] + 1] - begin
        if first >= 0:
            packed[position] = <int32_t>first
            position += 1
        if length > 0:
            memcpy(packed + position, ids + begin, <size_t>length * sizeof(int32_t))
            position += length
        if last >= 0:
            packed[position] = <int32_t>last
            position += 1
        packed_offsets[i + 1] = <int32_t>position


def pack(
    const int32_t[::1] ids, const int64_t[::1] offsets, const int64_t[::1] chosen, int64_t first=-1, int64_t last=-1
):
    """Gathers the chosen sentences: `(ids int32 [T], offsets int32 [B + 1])`.

    `first` and `last` are ids put before and after every sentence (bos and eos), -1 for none.
    """
    cdef int64_t count = chosen.shape[0], size = ids.shape[0], sentences = offsets.shape[0] - 1
    if first > INT32_MAX or last > INT32_MAX:
        raise ValueError(f"[pack] expected ids of 32 bits, got {first} and {last}")
    cdef int64_t total = 0
    cdef const int32_t* source = &ids[0] if size else NULL
    if count:
        _check_aligned("pack", source, sizeof(int32_t))
        _check_aligned("pack", &offsets[0], sizeof(int64_t))
        _check_aligned("pack", &chosen[0], sizeof(int64_t))
        total = _packed_size(
            &offsets[0], sentences, size, &chosen[0], count, (1 if first >= 0 else 0) + (1 if last >= 0 else 0)
        )
    if total == -1:
        raise ValueError(f"[pack] expected indices in [0, {sentences}) and offsets in [0, {size}]")
    if total == -2:
        raise ValueError(f"[pack] expected at most {INT32_MAX} tokens in a batch")
    packed = np.empty(total, dtype=np.int32)
    packed_offsets = np.zeros(count + 1, dtype=np.int32)
    if count == 0:
        return packed, packed_offsets
    cdef int32_t[::1] packed_view = packed
    cdef int32_t[::1] offsets_view = packed_offsets
    cdef int32_t* out = &packed_view[0] if total else NULL
    with nogil:
        _pack(source, &offsets[0], &chosen[0], count, first, last, out, &offsets_view[0])
    return packed, packed_offsets
