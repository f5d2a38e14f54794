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
constexpr int64_t kStep = 64;   // terms of a step of `Kernel`
constexpr int64_t kFour = 4;    // terms that are multiplied at once
constexpr int64_t kWindows = 8; // windows that `Straight` may read at once
// Packed weights of a panel: (terms / kFour, kPanel, kFour) bytes, so that four terms of a column are neighbours.
constexpr int64_t kStepBytes = kStep * kPanel;

// Where sums go: to[i * stride + j] = start[j] + scale * sum, modulo 2^32; without `start` what is there is added to.
struct Target {
  int32_t scale;
  const int32_t *start;
  int32_t *to;
  int64_t stride;
};

// Contiguous bytes of a window: where they start, from the window's corner, and how many they are.
struct Run {
  int64_t from, length;
};

// Sums of the runs of windows, read straight from the planes, times one or two panels of packed weights. A run takes
// a multiple of kFour terms of the weights, zeros beyond its length. Sums begin with initial[j] where it is given.
// Corners are read of windows up to a multiple of kWindows.
using Straight = void (*)(const int8_t *planes, const int64_t *corners, int64_t windows, const Run *runs, int64_t count,
                          const int8_t *b, int64_t panel_bytes, const int32_t *initial, int64_t columns,
                          const Target &target);

// The same from windows laid out side by side, for tile registers:
// scratch (kTile, kTile) = a (rows, steps * kStep; row stride lda) times one or two panels of packed weights.
// Rows beyond `rows`, rounded up to kPanel, and columns of a missing panel are left alone.
using Kernel = void (*)(const int8_t *a, int64_t lda, int64_t rows, const int8_t *b, int64_t panel_bytes,
                        int64_t panels, int64_t steps, int32_t *scratch);

// The target's sums from a scratch (kTile, kTile).
using Adder = void (*)(const int32_t *scratch, int64_t rows, int64_t columns, const Target &target);

// to[i] = table[from[i]].
using Mapper = void (*)(const int8_t *table, const uint8_t *from, int64_t count, int8_t *to);

// to[i * stride ...] = the runs of the window at planes + corners[i], side by side; up to 64 bytes more are written.
using Layer = void (*)(const int8_t *planes, const int64_t *corners, int64_t windows, const Run *runs, int64_t count,
                       int64_t stride, int8_t *to);

// panel (bytes / 4, kPanel, 4) = the transpose, by fours, of lines (kPanel, bytes; row stride `stride`).
using Interleaver = void (*)(const int8_t *lines, int64_t stride, int64_t bytes, int8_t *panel);

// initial[j] = -128 times the sum of column j of a panel of `bytes` terms.
using Initial = void (*)(const int8_t *panel, int64_t bytes, int32_t *initial);

// What needs no particular processor, for every variant.
inline void map_bytes(const int8_t *table, const uint8_t *from, int64_t count, int8_t *to) {
  for (int64_t i = 0; i < count; ++i) to[i] = table[from[i]];
}

inline void put_row(const int32_t *sums, int64_t columns, const int32_t *start, int32_t scale, int32_t *to) {
  for (int64_t j = 0; j < columns; ++j) {
    const uint32_t product = static_cast<uint32_t>(sums[j]) * static_cast<uint32_t>(scale);
    to[j] = static_cast<int32_t>(static_cast<uint32_t>(start ? start[j] : to[j]) + product);
  }
}

inline void interleave_bytes(const int8_t *lines, int64_t stride, int64_t bytes, int8_t *panel) {
  for (int64_t k = 0; k < bytes; k += 4)
    for (int64_t n = 0; n < kPanel; ++n) __builtin_memcpy(panel + k * kPanel + 4 * n, lines + n * stride + k, 4);
}

inline void initial_bytes(const int8_t *panel, int64_t bytes, int32_t *initial) {
  for (int64_t n = 0; n < kPanel; ++n) {
    uint32_t sum = 0;
    for (int64_t k = 0; k < bytes; k += kFour)
      for (int64_t q = 0; q < kFour; ++q) sum += static_cast<uint32_t>(int32_t{panel[k * kPanel + kFour * n + q]});
    initial[n] = static_cast<int32_t>(0u - 128u * sum);
  }
}

struct Variant {
  Straight straight;    // null: windows are laid out for `kernel`
  Mapper map;
  Interleaver interleave;
  Initial initial;      // null, or the kernel takes a + 128 as unsigned bytes, and sums begin with this
  Kernel kernel = nullptr;
  Adder add = nullptr;
  Layer lay_out = nullptr;
  void (*begin)() = nullptr;  // once a thread, before the first kernel
  void (*end)() = nullptr;
};

extern const Variant portable_variant, avx2_variant, avx_vnni_variant, vnni_variant, amx_variant;

}  // namespace axdnn

#endif
