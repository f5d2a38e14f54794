// Depthwise windows of 3 x 3 for AVX-512 with byte products: four rows of a column are the four terms of a step.
//
// Of the four, two rows of outputs take three each: their weights are the same, moved by one byte, beside a zero.
// 32 channels are taken at a time, whose weights and columns fit the registers, and what is left sixteen at a time.
#if defined(__x86_64__)
#include <algorithm>

#include "avx512.h"
#include "depthwise_3x3.h"

#define AXDNN_VNNI_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))

namespace axdnn {
namespace {

constexpr int64_t kSixteen = 16, kRows = 2, kFours = 64, kBytes = kRows * 3 * kFours;

void pack_fours(const Digits3x3 &digits, int8_t *weights) {
  for (int64_t row = 0; row < kRows; ++row)
    for (int64_t x = 0; x < 3; ++x)
      for (int64_t c = 0; c < kSixteen; ++c, weights += 4) {
        const int8_t first = digits[0][x][c], second = digits[1][x][c], third = digits[2][x][c];
        const int8_t four[2][4] = {{first, second, third, 0}, {0, first, second, third}};
        __builtin_memcpy(weights, four[row], 4);
      }
}

// Rows of outputs of a block of channels, and one digit pair.
struct Block {
  const int8_t *from;
  int64_t line[4], column;  // where the rows of a column are, from its first
  int32_t scale;
  const int32_t *start;     // to which products are added
  int64_t start_line, start_pixel;
  int32_t *to;
  int64_t to_line, to_pixel, pixels;
  __mmask16 kept;           // of the last register's channels
  const int8_t *weights;
  int64_t weight_stride;    // from one register's to the next one's
};

// The four bytes of a channel side by side, from sixteen bytes that hold four channels of each row.
AXDNN_VNNI_TARGET inline __m512i by_channel(__m512i rows) {
  return _mm512_shuffle_epi8(rows, _mm512_set4_epi32(0x0f0b0703, 0x0e0a0602, 0x0d090501, 0x0c080400));
}

AXDNN_VNNI_TARGET inline __m128i bytes_16(const int8_t *at) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i *>(at));
}

AXDNN_VNNI_TARGET inline __m512i two_rows(const int8_t *first, const int8_t *second) {
  const __m256i one = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(first));
  return _mm512_inserti64x4(_mm512_castsi256_si512(one),
                            _mm256_loadu_si256(reinterpret_cast<const __m256i *>(second)), 1);
}

// A column of 32 channels, or of 16, in their order.
AXDNN_VNNI_TARGET inline void read_column(const Block &k, const int8_t *at, __m512i (&to)[2]) {
  const __m512i lower = _mm512_setr_epi32(0, 8, 16, 24, 1, 9, 17, 25, 2, 10, 18, 26, 3, 11, 19, 27);
  const __m512i upper = _mm512_setr_epi32(4, 12, 20, 28, 5, 13, 21, 29, 6, 14, 22, 30, 7, 15, 23, 31);
  const __m512i a = two_rows(at + k.line[0], at + k.line[1]), b = two_rows(at + k.line[2], at + k.line[3]);
  to[0] = by_channel(_mm512_permutex2var_epi32(a, lower, b));
  to[1] = by_channel(_mm512_permutex2var_epi32(a, upper, b));
}

AXDNN_VNNI_TARGET inline void read_column(const Block &k, const int8_t *at, __m512i (&to)[1]) {
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  __m512i rows = _mm512_castsi128_si512(bytes_16(at + k.line[0]));
  rows = _mm512_inserti32x4(rows, bytes_16(at + k.line[1]), 1);
  rows = _mm512_inserti32x4(rows, bytes_16(at + k.line[2]), 2);
  rows = _mm512_inserti32x4(rows, bytes_16(at + k.line[3]), 3);
  to[0] = by_channel(_mm512_permutexvar_epi32(order, rows));
}

// What a kernel is compiled for: columns from window to window, rows of outputs, registers of channels, whether there is
// a scale, and whether the last register is full.
template <int kStrideOf, int kRowsOf, int kVectorsOf, bool kScaledOf, bool kWholeOf>
struct Form {
  static constexpr int kStride = kStrideOf, kRows = kRowsOf, kVectors = kVectorsOf;
  static constexpr bool kScaled = kScaledOf, kWhole = kWholeOf;
  using Column = __m512i[kVectors];
  using Weights = __m512i[kRows][3][kVectors];
};

// The sums of pixel x of each row, from the three columns of their windows.
template <typename F>
AXDNN_VNNI_TARGET inline void sum(const Block &k, int64_t x, const typename F::Weights &w, const typename F::Column &a,
                                  const typename F::Column &b, const typename F::Column &c) {
  for (int row = 0; row < F::kRows; ++row)
    for (int v = 0; v < F::kVectors; ++v) {
      const int32_t *start = k.start + row * k.start_line + x * k.start_pixel + kSixteen * v;
      int32_t *to = k.to + row * k.to_line + x * k.to_pixel + kSixteen * v;
      const __m512i before = F::kWhole ? _mm512_loadu_si512(start) : _mm512_maskz_loadu_epi32(k.kept, start);
      __m512i found = F::kScaled ? _mm512_setzero_si512() : before;
      found = _mm512_dpbusd_epi32(found, a[v], w[row][0][v]);
      found = _mm512_dpbusd_epi32(found, b[v], w[row][1][v]);
      found = _mm512_dpbusd_epi32(found, c[v], w[row][2][v]);
      if (F::kScaled) found = _mm512_add_epi32(before, _mm512_mullo_epi32(found, _mm512_set1_epi32(k.scale)));
      if (F::kWhole) _mm512_storeu_si512(to, found);
      else _mm512_mask_storeu_epi32(to, k.kept, found);
    }
}

template <typename F>
AXDNN_VNNI_TARGET void rows_of(const Block &given) {
  const Block k = given;  // which no store of sums may alter
  typename F::Weights w;
  for (int row = 0; row < F::kRows; ++row)
    for (int i = 0; i < 3; ++i)
      for (int v = 0; v < F::kVectors; ++v)
        w[row][i][v] = _mm512_loadu_si512(k.weights + v * k.weight_stride + (3 * row + i) * kFours);
  const int8_t *at = k.from;
  typename F::Column a, b, c;
  read_column(k, at, a);
  if (F::kStride == 2) {
    for (int64_t x = 0; x < k.pixels; ++x) {
      read_column(k, at + k.column, b);
      read_column(k, at += 2 * k.column, c);
      sum<F>(k, x, w, a, b, c);
      for (int v = 0; v < F::kVectors; ++v) a[v] = c[v];
    }
    return;
  }
  read_column(k, at += k.column, b);
  int64_t x = 0;
  for (; x + 3 <= k.pixels; x += 3) {  // columns change places, not registers
    read_column(k, at += k.column, c);
    sum<F>(k, x, w, a, b, c);
    read_column(k, at += k.column, a);
    sum<F>(k, x + 1, w, b, c, a);
    read_column(k, at += k.column, b);
    sum<F>(k, x + 2, w, c, a, b);
  }
  if (x == k.pixels) return;
  read_column(k, at += k.column, c);
  sum<F>(k, x, w, a, b, c);
  if (x + 1 == k.pixels) return;
  read_column(k, at + k.column, a);
  sum<F>(k, x + 1, w, b, c, a);
}

template <int kVectors, bool kScaled, bool kWhole>
void rows_of(const Block &k, int64_t rows, int64_t stride) {
  if (stride == 2) rows_of<Form<2, 1, kVectors, kScaled, kWhole>>(k);
  else if (rows == 2) rows_of<Form<1, 2, kVectors, kScaled, kWhole>>(k);
  else rows_of<Form<1, 1, kVectors, kScaled, kWhole>>(k);
}

template <int kVectors, bool kWhole>
void rows_of(const Block &k, int64_t rows, int64_t stride) {
  if (k.scale == 1) rows_of<kVectors, false, kWhole>(k, rows, stride);
  else rows_of<kVectors, true, kWhole>(k, rows, stride);
}

// One row of outputs, or two whose windows share rows.
void run_rows(const Rows3x3 &r, int64_t y, int64_t rows) {
  const int64_t last = rows == 2 ? 3 : 2;  // weights of a fourth row that is not there are zero
  Block k = {};
  for (int64_t i = 0; i < 4; ++i) k.line[i] = std::min(i, last) * r.line;
  k.column = r.column;
  k.to_line = r.to_line;
  k.to_pixel = r.to_pixel;
  k.pixels = r.pixels;
  k.weight_stride = r.pairs * kBytes;
  for (int64_t c = 0, taken; c < r.channels; c += taken) {
    taken = r.channels - c >= 2 * kSixteen ? 2 * kSixteen : std::min(kSixteen, r.channels - c);
    k.kept = static_cast<__mmask16>((1u << std::min(kSixteen, taken)) - 1);
    k.to = r.to + y * r.to_line + c;
    for (int64_t pair = 0; pair < r.pairs; ++pair) {
      k.from = r.planes + pair * r.plane + y * r.stride_h * r.line + c;
      k.scale = r.scales[pair];
      k.start = pair ? k.to : r.constant + c;
      k.start_line = pair ? r.to_line : 0;
      k.start_pixel = pair ? r.to_pixel : 0;
      k.weights = r.weights + (c / kSixteen * r.pairs + pair) * kBytes;
      if (taken > kSixteen) rows_of<2, true>(k, rows, r.stride_w);
      else if (taken == kSixteen) rows_of<1, true>(k, rows, r.stride_w);
      else rows_of<1, false>(k, rows, r.stride_w);
    }
  }
}

void run_vnni(const Rows3x3 &r) {
  const int64_t together = r.stride_h == 1 && r.stride_w == 1 ? kRows : 1;
  for (int64_t y = 0; y < r.rows; y += together) run_rows(r, y, std::min(together, r.rows - y));
}

}  // namespace

const Kernel3x3 kernel_3x3_vnni = {kSixteen, kBytes, pack_fours, run_vnni};

}  // namespace axdnn
#endif
