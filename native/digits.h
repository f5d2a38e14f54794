// Pieces of the digit path that exist once for each variant.
#ifndef AXDNN_DIGITS_H
#define AXDNN_DIGITS_H

#include <cstddef>
#include <cstdint>

// Compilers from 2021 on know the byte products of processors without AVX-512.
#if defined(__x86_64__) && ((defined(__clang__) && __clang_major__ >= 12) || (!defined(__clang__) && __GNUC__ >= 11))
#define AXDNN_COMPILES_AVX_VNNI 1
#else
#define AXDNN_COMPILES_AVX_VNNI 0
#endif

namespace axdnn {

constexpr int64_t kTile = 32;   // rows and columns of the block that a kernel computes at once
constexpr int64_t kPanel = 16;  // columns of a panel of packed weights
constexpr int64_t kStep = 64;   // terms of a step
// Packed weights of a panel: (steps, kStep / 4, kPanel, 4) bytes, so that four terms of a column are neighbours.
constexpr int64_t kStepBytes = kStep * kPanel;

// scratch (kTile, kTile) = a (rows, steps * kStep; row stride lda) times one or two panels of packed weights.
// Rows beyond `rows`, rounded up to kPanel, and columns of a missing panel are left alone.
using Kernel = void (*)(const int8_t *a, int64_t lda, int64_t rows, const int8_t *b, int64_t panel_bytes,
                        int64_t panels, int64_t steps, int32_t *scratch);

// out[i * out_stride + j] = start[j] + scale * scratch[i][j], modulo 2^32; without `start` what is there is added to.
using Adder = void (*)(const int32_t *scratch, int64_t rows, int64_t columns, int32_t scale, const int32_t *start,
                       int32_t *out, int64_t out_stride);

// to[i] = table[from[i]].
using Mapper = void (*)(const int8_t *table, const uint8_t *from, int64_t count, int8_t *to);

// Contiguous bytes of a window: where they start, from the window's corner, and how many they are.
struct Run {
  int64_t from, length;
};

// to[i * stride ...] = the runs of the window at planes + corners[i], side by side; up to 64 bytes more are written.
using Layer = void (*)(const int8_t *planes, const int64_t *corners, int64_t windows, const Run *runs, int64_t count,
                       int64_t stride, int8_t *to);

// panel (bytes / 4, kPanel, 4) = the transpose, by fours, of lines (kPanel, bytes; row stride `stride`).
using Interleaver = void (*)(const int8_t *lines, int64_t stride, int64_t bytes, int8_t *panel);

// What needs no particular processor, for every variant.
inline void map_bytes(const int8_t *table, const uint8_t *from, int64_t count, int8_t *to) {
  for (int64_t i = 0; i < count; ++i) to[i] = table[from[i]];
}

inline void add_columns(const int32_t *sums, int64_t from, int64_t columns, int32_t scale, const int32_t *start,
                        int32_t *out) {
  for (int64_t j = from; j < columns; ++j) {
    const uint32_t product = static_cast<uint32_t>(sums[j]) * static_cast<uint32_t>(scale);
    out[j] = static_cast<int32_t>(static_cast<uint32_t>(start ? start[j] : out[j]) + product);
  }
}

__attribute__((always_inline)) inline void lay_out_bytes(const int8_t *planes, const int64_t *corners, int64_t windows, const Run *runs, int64_t count,
                          int64_t stride, int8_t *to) {
  for (int64_t i = 0; i < windows; ++i, to += stride) {
    int8_t *at = to;
    for (int64_t r = 0; r < count; ++r) {
      const int8_t *from = planes + corners[i] + runs[r].from;
      for (int64_t done = 0; done < runs[r].length; done += 32) __builtin_memcpy(at + done, from + done, 32);
      at += runs[r].length;
    }
  }
}

inline void interleave_bytes(const int8_t *lines, int64_t stride, int64_t bytes, int8_t *panel) {
  for (int64_t k = 0; k < bytes; k += 4)
    for (int64_t n = 0; n < kPanel; ++n) __builtin_memcpy(panel + k * kPanel + 4 * n, lines + n * stride + k, 4);
}

inline void do_nothing() {}

struct Variant {
  Kernel kernel;
  Adder add;
  Mapper map;
  Layer lay_out;
  Interleaver interleave;
  bool unsigned_left;   // the kernel takes a + 128 as unsigned bytes
  void (*begin)();      // once a thread, before the first kernel
  void (*end)();
};

extern const Variant portable_variant, avx2_variant, avx_vnni_variant, vnni_variant, amx_variant;

}  // namespace axdnn

#endif
