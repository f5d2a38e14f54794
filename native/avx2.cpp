// The digit path for AVX2: bytes widened to 16 bits, pairs of products added up in 32 bits; and for AVX2 with byte
// products (AVX-VNNI).
#if defined(__x86_64__)
#include <immintrin.h>

#include "digits.h"

#define AXDNN_AVX2 __attribute__((target("avx2")))
#define AXDNN_AVX_VNNI_TARGET __attribute__((target("avx2,avxvnni")))

namespace axdnn {
namespace {

// Two rows at a time; a register holds two sums for each of four columns.
template <int kRows>
AXDNN_AVX2 inline void rows_avx2(const int8_t *a, int64_t lda, const int8_t *b, int64_t steps, int32_t *scratch) {
  constexpr int kQuads = kPanel / 4;
  __m256i sums[kRows][kQuads];
  for (auto &row : sums)
    for (auto &sum : row) sum = _mm256_setzero_si256();
  for (int64_t k = 0; k < steps * kStep / 4; ++k, b += 4 * kPanel) {
    __m256i left[kRows];
    for (int i = 0; i < kRows; ++i) {
      int32_t four;
      __builtin_memcpy(&four, a + i * lda + 4 * k, 4);
      left[i] = _mm256_cvtepi8_epi16(_mm_set1_epi32(four));
    }
    for (int q = 0; q < kQuads; ++q) {
      const __m256i right = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i *>(b + 16 * q)));
      for (int i = 0; i < kRows; ++i)
        sums[i][q] = _mm256_add_epi32(sums[i][q], _mm256_madd_epi16(left[i], right));
    }
  }
  for (int i = 0; i < kRows; ++i)
    for (int q = 0; q < kQuads; ++q) {
      alignas(32) uint32_t pairs[8];
      _mm256_store_si256(reinterpret_cast<__m256i *>(pairs), sums[i][q]);
      for (int j = 0; j < 4; ++j)
        scratch[i * kTile + 4 * q + j] = static_cast<int32_t>(pairs[2 * j] + pairs[2 * j + 1]);
    }
}

void kernel_avx2(const int8_t *a, int64_t lda, int64_t rows, const int8_t *b, int64_t panel_bytes, int64_t panels,
                 int64_t steps, int32_t *scratch) {
  for (int64_t p = 0; p < panels; ++p)
    for (int64_t i = 0; i < rows; i += 2)  // the buffer of a goes on to a multiple of kTile rows
      rows_avx2<2>(a + i * lda, lda, b + p * panel_bytes, steps, scratch + i * kTile + p * kPanel);
}

#if AXDNN_COMPILES_AVX_VNNI
// Four rows at a time; a register holds the sums of eight columns.
AXDNN_AVX_VNNI_TARGET void kernel_avx_vnni(const int8_t *a, int64_t lda, int64_t rows, const int8_t *b,
                                           int64_t panel_bytes, int64_t panels, int64_t steps, int32_t *scratch) {
  constexpr int kRows = 4, kHalves = kPanel / 8;
  for (int64_t p = 0; p < panels; ++p)
    for (int64_t i = 0; i < rows; i += kRows) {  // the buffer of a goes on to a multiple of kTile rows
      __m256i sums[kRows][kHalves];
      for (auto &row : sums)
        for (auto &sum : row) sum = _mm256_setzero_si256();
      for (int64_t k = 0; k < steps * kStep; k += 4) {
        __m256i right[kHalves];
        for (int h = 0; h < kHalves; ++h)
          right[h] = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(b + p * panel_bytes + k * kPanel + 32 * h));
        for (int r = 0; r < kRows; ++r) {
          int32_t four;
          __builtin_memcpy(&four, a + (i + r) * lda + k, 4);
          const __m256i left = _mm256_set1_epi32(four);
          for (int h = 0; h < kHalves; ++h) sums[r][h] = _mm256_dpbusd_avx_epi32(sums[r][h], left, right[h]);
        }
      }
      for (int r = 0; r < kRows; ++r)
        for (int h = 0; h < kHalves; ++h)
          _mm256_storeu_si256(reinterpret_cast<__m256i *>(scratch + (i + r) * kTile + p * kPanel + 8 * h), sums[r][h]);
    }
}
#endif

AXDNN_AVX2 void add_avx2(const int32_t *scratch, int64_t rows, int64_t columns, int32_t scale, const int32_t *start,
                         int32_t *out, int64_t out_stride) {
  const __m256i factor = _mm256_set1_epi32(scale);
  for (int64_t i = 0; i < rows; ++i) {
    int64_t j = 0;
    for (; j + 8 <= columns; j += 8) {
      const __m256i sums = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(scratch + i * kTile + j));
      __m256i *to = reinterpret_cast<__m256i *>(out + i * out_stride + j);
      const __m256i before = _mm256_loadu_si256(start ? reinterpret_cast<const __m256i *>(start + j) : to);
      _mm256_storeu_si256(to, _mm256_add_epi32(before, _mm256_mullo_epi32(sums, factor)));
    }
    add_columns(scratch + i * kTile, j, columns, scale, start, out + i * out_stride);
  }
}

AXDNN_AVX2 void lay_out_avx2(const int8_t *planes, const int64_t *corners, int64_t windows, const Run *runs,
                             int64_t count, int64_t stride, int8_t *to) {
  lay_out_bytes(planes, corners, windows, runs, count, stride, to);
}

}  // namespace

const Variant avx2_variant = {kernel_avx2, add_avx2,   map_bytes, lay_out_avx2, interleave_bytes,
                              false,       do_nothing, do_nothing};

#if AXDNN_COMPILES_AVX_VNNI
const Variant avx_vnni_variant = {kernel_avx_vnni, add_avx2,   map_bytes, lay_out_avx2, interleave_bytes,
                                  true,            do_nothing, do_nothing};
#else
const Variant avx_vnni_variant = avx2_variant;
#endif

}  // namespace axdnn
#endif
