// What simulators of approximate multipliers usually do, written for comparison: unfolded codes, one table entry a product.
#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

extern "C" {

// out (m, n) = sum over k of table[x[m][k] * 256 + w[n][k]], one product after the other.
void scalar_loop(const uint8_t *x, const uint8_t *w, const int32_t *table, int64_t m, int64_t k, int64_t n, int32_t *out) {
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      int32_t sum = 0;
      for (int64_t t = 0; t < k; ++t) sum += table[x[i * k + t] * 256 + w[j * k + t]];
      out[i * n + j] = sum;
    }
}

// The same with eight gathered entries at a time.
#if defined(__x86_64__)
__attribute__((target("avx2"))) void gather_loop(const uint8_t *x, const uint8_t *w, const int32_t *table, int64_t m,
                                                 int64_t k, int64_t n, int32_t *out) {
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      __m256i sums = _mm256_setzero_si256();
      int64_t t = 0;
      for (; t + 8 <= k; t += 8) {
        const __m256i a = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(x + i * k + t)));
        const __m256i b = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(w + j * k + t)));
        const __m256i at = _mm256_add_epi32(_mm256_slli_epi32(a, 8), b);
        sums = _mm256_add_epi32(sums, _mm256_i32gather_epi32(table, at, 4));
      }
      int32_t parts[8], sum = 0;
      _mm256_storeu_si256(reinterpret_cast<__m256i *>(parts), sums);
      for (int32_t part : parts) sum += part;
      for (; t < k; ++t) sum += table[x[i * k + t] * 256 + w[j * k + t]];
      out[i * n + j] = sum;
    }
}
#endif
}
