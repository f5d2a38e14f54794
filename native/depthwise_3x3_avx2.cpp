// Depthwise windows of 3 x 3 for AVX2: two terms of eight channels at a time, in 16 bits, their products in 32.
//
// Nine terms are five pairs: of each column the upper two rows, of the lowest row a column and the one to its right,
// and the last column's alone. Sixteen channels are taken at a time, so that a line of the cache is written at once.
#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>

#include "depthwise_3x3.h"

#define AXDNN_AVX2 __attribute__((target("avx2")))

namespace axdnn {
namespace {

constexpr int64_t kEight = 8, kPairs = 5, kBytes = kPairs * 2 * kEight * sizeof(int16_t);

void pack_pairs(const Digits3x3 &digits, int8_t *weights) {
  const auto put = [&](int64_t pair, const int8_t *first, const int8_t *second) {
    for (int64_t c = 0; c < kEight; ++c) {
      const int16_t two[2] = {first[c], second[c]};
      __builtin_memcpy(weights + 4 * (pair * kEight + c), two, sizeof two);
    }
  };
  constexpr int8_t none[kEight] = {};
  for (int64_t x = 0; x < 3; ++x) put(x, digits[0][x], digits[1][x]);
  put(3, digits[2][0], digits[2][1]);
  put(4, digits[2][2], none);
}

// What a window takes from a column, for each register of channels: its upper rows; its lowest and the next column's.
template <int kVectors>
struct Column {
  __m256i upper[kVectors], lower[kVectors];
};

// One row of outputs of a block of channels, and one digit pair.
struct Block {
  const int8_t *from;
  int64_t line, column;
  int32_t scale;
  const int32_t *start;  // to which products are added, `start_pixel` numbers on with each pixel
  int64_t start_pixel;
  int32_t *to;
  int64_t to_pixel, pixels, channels;
  const int8_t *weights;
  int64_t weight_stride;  // from one register's to the next one's
};

template <int kVectors>
AXDNN_AVX2 inline __m128i bytes_at(const int8_t *at) {
  const auto *bytes = reinterpret_cast<const __m128i *>(at);
  return kVectors == 2 ? _mm_loadu_si128(bytes) : _mm_loadl_epi64(bytes);
}

AXDNN_AVX2 inline void widen(__m128i first, __m128i second, __m256i (&to)[2]) {
  to[0] = _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(first, second));
  to[1] = _mm256_cvtepi8_epi16(_mm_unpackhi_epi8(first, second));
}

AXDNN_AVX2 inline void widen(__m128i first, __m128i second, __m256i (&to)[1]) {
  to[0] = _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(first, second));
}

template <int kVectors>
AXDNN_AVX2 inline void read_column(const Block &k, const int8_t *at, Column<kVectors> &to) {
  const int8_t *lowest = at + 2 * k.line;
  widen(bytes_at<kVectors>(at), bytes_at<kVectors>(at + k.line), to.upper);
  widen(bytes_at<kVectors>(lowest), bytes_at<kVectors>(lowest + k.column), to.lower);
}

// Weights are operands from memory: registers are for columns.
AXDNN_AVX2 inline __m256i products(__m256i terms, const int8_t *weights, int pair) {
  return _mm256_madd_epi16(terms, _mm256_loadu_si256(reinterpret_cast<const __m256i *>(weights) + pair));
}

// The sums of pixel x, from the three columns of its window.
template <int kVectors, bool kScaled, bool kWhole>
AXDNN_AVX2 inline void sum(const Block &k, int64_t x, const Column<kVectors> &a, const Column<kVectors> &b,
                           const Column<kVectors> &c) {
  for (int v = 0; v < kVectors; ++v) {
    const int8_t *w = k.weights + v * k.weight_stride;
    const __m256i upper = _mm256_add_epi32(products(a.upper[v], w, 0), products(b.upper[v], w, 1));
    const __m256i lower = _mm256_add_epi32(products(a.lower[v], w, 3), products(c.lower[v], w, 4));
    __m256i found = _mm256_add_epi32(_mm256_add_epi32(upper, lower), products(c.upper[v], w, 2));
    if (kScaled) found = _mm256_mullo_epi32(found, _mm256_set1_epi32(k.scale));
    const int32_t *start = k.start + x * k.start_pixel + kEight * v;
    int32_t *to = k.to + x * k.to_pixel + kEight * v;
    if (kWhole) {
      const __m256i before = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(start));
      _mm256_storeu_si256(reinterpret_cast<__m256i *>(to), _mm256_add_epi32(before, found));
      continue;
    }
    uint32_t each[kEight];
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(each), found);
    for (int64_t i = 0; i < k.channels; ++i) to[i] = static_cast<int32_t>(static_cast<uint32_t>(start[i]) + each[i]);
  }
}

template <int kStride, int kVectors, bool kScaled, bool kWhole>
AXDNN_AVX2 void row_of(const Block &given) {
  const Block k = given;  // which no store of sums may alter
  const int8_t *at = k.from;
  Column<kVectors> a, b, c;
  read_column(k, at, a);
  if (kStride == 2) {
    for (int64_t x = 0; x < k.pixels; ++x, a = c) {
      read_column(k, at + k.column, b);
      read_column(k, at += 2 * k.column, c);
      sum<kVectors, kScaled, kWhole>(k, x, a, b, c);
    }
    return;
  }
  read_column(k, at += k.column, b);
  int64_t x = 0;
  for (; x + 3 <= k.pixels; x += 3) {  // columns change places, not registers
    read_column(k, at += k.column, c);
    sum<kVectors, kScaled, kWhole>(k, x, a, b, c);
    read_column(k, at += k.column, a);
    sum<kVectors, kScaled, kWhole>(k, x + 1, b, c, a);
    read_column(k, at += k.column, b);
    sum<kVectors, kScaled, kWhole>(k, x + 2, c, a, b);
  }
  for (; x < k.pixels; ++x, a = b, b = c) {
    read_column(k, at += k.column, c);
    sum<kVectors, kScaled, kWhole>(k, x, a, b, c);
  }
}

template <int kVectors, bool kWhole>
void row_of(const Block &k, int64_t stride) {
  const auto plain = stride == 2 ? row_of<2, kVectors, false, kWhole> : row_of<1, kVectors, false, kWhole>;
  const auto scaled = stride == 2 ? row_of<2, kVectors, true, kWhole> : row_of<1, kVectors, true, kWhole>;
  (k.scale == 1 ? plain : scaled)(k);
}

void run_avx2(const Rows3x3 &r) {
  Block k = {};
  k.line = r.line;
  k.column = r.column;
  k.to_pixel = r.to_pixel;
  k.pixels = r.pixels;
  k.weight_stride = r.pairs * kBytes;
  for (int64_t y = 0; y < r.rows; ++y)
    for (int64_t c = 0; c < r.channels; c += k.channels) {
      k.channels = r.channels - c >= 2 * kEight ? 2 * kEight : std::min(kEight, r.channels - c);
      k.to = r.to + y * r.to_line + c;
      for (int64_t pair = 0; pair < r.pairs; ++pair) {
        k.from = r.planes + pair * r.plane + y * r.stride_h * r.line + c;
        k.scale = r.scales[pair];
        k.start = pair ? k.to : r.constant + c;
        k.start_pixel = pair ? r.to_pixel : 0;
        k.weights = r.weights + (c / kEight * r.pairs + pair) * kBytes;
        if (k.channels > kEight) row_of<2, true>(k, r.stride_w);
        else if (k.channels == kEight) row_of<1, true>(k, r.stride_w);
        else row_of<1, false>(k, r.stride_w);
      }
    }
}

}  // namespace

const Kernel3x3 kernel_3x3_avx2 = {kEight, kBytes, pack_pairs, run_avx2};

}  // namespace axdnn
#endif
