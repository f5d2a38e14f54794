// Look-ups by AVX-512 VBMI: 256 bytes of a column are four registers; a permute looks 64 codes up in one of them by their
// low six bits, in the lanes whose other two bits name it. Permutes of two registers at once would be half as many, but
// are three steps of the processor each. The permutes are what limits the speed.
#include "lookup.h"

#if defined(__x86_64__)
#include "avx512.h"
#endif

namespace axdnn {

#if defined(__x86_64__)
namespace {

constexpr int64_t kAhead = 4;

// Sums of bytes: `both` holds even + 256 * odd modulo 2^16, `odd` the odd ones.
template <int kPlanes, int kVectors>
struct Sums {
  __m512i both[kPlanes][kVectors], odd[kPlanes][kVectors];
};

template <int kPlanes, int kVectors>
AXDNN_VBMI inline void clear(Sums<kPlanes, kVectors> &s) {
  for (int p = 0; p < kPlanes; ++p)
    for (int v = 0; v < kVectors; ++v) s.both[p][v] = s.odd[p][v] = _mm512_setzero_si512();
}

// Adds what 64 * kVectors codes find in a column of the table.
template <int kPlanes, int kVectors>
AXDNN_VBMI inline void find(const uint8_t *codes, const uint8_t *column, Sums<kPlanes, kVectors> &s) {
  __m512i quarters[kPlanes][4];
#pragma GCC unroll 8
  for (int i = 0; i < 4 * kPlanes; ++i) quarters[i / 4][i % 4] = _mm512_loadu_si512(column + 64 * i);
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    const __m512i code = _mm512_loadu_si512(codes + 64 * v);
    const __mmask64 bit_7 = _mm512_movepi8_mask(code), bit_6 = _mm512_movepi8_mask(_mm512_add_epi8(code, code));
    const __mmask64 both_bits = _kand_mask64(bit_7, bit_6);
#pragma GCC unroll 2
    for (int p = 0; p < kPlanes; ++p) {
      const __m512i *q = quarters[p];
      __m512i found = _mm512_permutexvar_epi8(code, q[0]);
      found = _mm512_mask_permutexvar_epi8(found, bit_6, code, q[1]);
      found = _mm512_mask_permutexvar_epi8(found, bit_7, code, q[2]);
      found = _mm512_mask_permutexvar_epi8(found, both_bits, code, q[3]);
      s.both[p][v] = _mm512_add_epi16(s.both[p][v], found);
      s.odd[p][v] = _mm512_add_epi16(s.odd[p][v], _mm512_srli_epi16(found, 8));
    }
  }
}

// The same for folded weights: half the columns, and complements where the sign says so.
template <int kPlanes, int kVectors>
AXDNN_VBMI inline void find_folded(const uint8_t *codes, const uint8_t *signs, const uint8_t *column,
                                   Sums<kPlanes, kVectors> &s) {
  __m512i halves[kPlanes][2];
#pragma GCC unroll 4
  for (int i = 0; i < 2 * kPlanes; ++i) halves[i / 2][i % 2] = _mm512_loadu_si512(column + 64 * i);
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    const __m512i code = _mm512_loadu_si512(codes + 64 * v), sign = _mm512_loadu_si512(signs + 64 * v);
    const __mmask64 upper = _mm512_movepi8_mask(code);
#pragma GCC unroll 2
    for (int p = 0; p < kPlanes; ++p) {
      __m512i found = _mm512_permutexvar_epi8(code, halves[p][0]);
      found = _mm512_mask_permutexvar_epi8(found, upper, code, halves[p][1]);
      found = _mm512_xor_si512(found, sign);
      s.both[p][v] = _mm512_add_epi16(s.both[p][v], found);
      s.odd[p][v] = _mm512_add_epi16(s.odd[p][v], _mm512_srli_epi16(found, 8));
    }
  }
}

// Register r holds the sums of bytes 4 q + r, as 32-bit numbers.
template <int kPlanes, int kVectors>
AXDNN_VBMI inline void widen(const Sums<kPlanes, kVectors> &s, int v, __m512i (&sums)[4]) {
  const __m512i low = _mm512_set1_epi32(0xffff);
  for (auto &sum : sums) sum = _mm512_setzero_si512();
  for (int p = 0; p < kPlanes; ++p) {
    const __m512i odd = s.odd[p][v], even = _mm512_sub_epi16(s.both[p][v], _mm512_slli_epi16(odd, 8));
    const __m512i parts[4] = {_mm512_and_si512(even, low), _mm512_and_si512(odd, low), _mm512_srli_epi32(even, 16),
                              _mm512_srli_epi32(odd, 16)};
    for (int r = 0; r < 4; ++r) sums[r] = _mm512_add_epi32(sums[r], _mm512_slli_epi32(parts[r], 8 * p));
  }
}

template <int kPlanes, int kVectors>
AXDNN_VBMI void pixels(const uint8_t *codes, const int64_t *offsets, int64_t terms, const uint8_t *w,
                       const uint8_t *columns, int32_t *sums) {
  Sums<kPlanes, kVectors> s;
  clear(s);
  for (int64_t t = 0; t < terms; ++t) find(codes + offsets[t], columns + w[t] * kPlanes * 256, s);
  for (int v = 0; v < kVectors; ++v, sums += 64) {
    __m512i r[4];
    widen(s, v, r);
    const __m512i a = _mm512_unpacklo_epi32(r[0], r[1]), b = _mm512_unpackhi_epi32(r[0], r[1]);
    const __m512i c = _mm512_unpacklo_epi32(r[2], r[3]), d = _mm512_unpackhi_epi32(r[2], r[3]);
    const __m512i quads[4] = {_mm512_unpacklo_epi64(a, c), _mm512_unpackhi_epi64(a, c), _mm512_unpacklo_epi64(b, d),
                              _mm512_unpackhi_epi64(b, d)};  // lane l of quad i: bytes 16 l + 4 i ...
    for (int i = 0; i < 4; ++i) {
      _mm_storeu_si128(reinterpret_cast<__m128i *>(sums + 4 * i), _mm512_extracti32x4_epi32(quads[i], 0));
      _mm_storeu_si128(reinterpret_cast<__m128i *>(sums + 16 + 4 * i), _mm512_extracti32x4_epi32(quads[i], 1));
      _mm_storeu_si128(reinterpret_cast<__m128i *>(sums + 32 + 4 * i), _mm512_extracti32x4_epi32(quads[i], 2));
      _mm_storeu_si128(reinterpret_cast<__m128i *>(sums + 48 + 4 * i), _mm512_extracti32x4_epi32(quads[i], 3));
    }
  }
}

template <int kPlanes, int kVectors, bool kFolded>
AXDNN_VBMI void outputs(const uint8_t *codes, const uint8_t *const *weights, int64_t signs, int64_t terms,
                        const uint8_t *rows, int32_t *sums) {
  constexpr int kRow = kPlanes * (kFolded ? 128 : 256);
  Sums<kPlanes, kVectors> s;
  clear(s);
  for (int64_t t = 0; t < terms; ++t) {
    for (int i = 0; i < kRow; i += 64)  // the rows do not fit the first cache
      _mm_prefetch(reinterpret_cast<const char *>(rows + codes[t + kAhead] * kRow + i), _MM_HINT_T0);
    if (kFolded) find_folded(weights[t], weights[t] + signs, rows + codes[t] * kRow, s);
    else find(weights[t], rows + codes[t] * kRow, s);
  }
  for (int v = 0; v < kVectors; ++v, sums += 64) {
    __m512i r[4];
    widen(s, v, r);
    for (int i = 0; i < 4; ++i) _mm512_storeu_si512(sums + 16 * i, r[i]);
  }
}

template <int kPlanes>
void pixels_of(const uint8_t *codes, const int64_t *offsets, int64_t terms, const uint8_t *w, const uint8_t *columns,
               int64_t vectors, int32_t *sums) {
  switch (vectors) {
    case 1: return pixels<kPlanes, 1>(codes, offsets, terms, w, columns, sums);
    case 2: return pixels<kPlanes, 2>(codes, offsets, terms, w, columns, sums);
    case 3: return pixels<kPlanes, 3>(codes, offsets, terms, w, columns, sums);
    default: return pixels<kPlanes, 4>(codes, offsets, terms, w, columns, sums);
  }
}

template <int kPlanes, bool kFolded>
void outputs_of(const uint8_t *codes, const uint8_t *const *weights, int64_t signs, int64_t terms, const uint8_t *rows,
                int64_t vectors, int32_t *sums) {
  switch (vectors) {
    case 1: return outputs<kPlanes, 1, kFolded>(codes, weights, signs, terms, rows, sums);
    case 2: return outputs<kPlanes, 2, kFolded>(codes, weights, signs, terms, rows, sums);
    case 3: return outputs<kPlanes, 3, kFolded>(codes, weights, signs, terms, rows, sums);
    default: return outputs<kPlanes, 4, kFolded>(codes, weights, signs, terms, rows, sums);
  }
}

}  // namespace

const PixelKernel pixel_permutes[2] = {pixels_of<1>, pixels_of<2>};
const OutputKernel output_permutes[2] = {outputs_of<1, false>, outputs_of<2, false>};
const OutputKernel folded_permutes[2] = {outputs_of<1, true>, outputs_of<2, true>};

AXDNN_512 void turn_512(const int32_t *sums, int64_t count, int32_t *to) {
  for (int64_t i = 0; i < count; i += 16) {
    __m512i r[16];
    for (int j = 0; j < 16; ++j) r[j] = _mm512_loadu_si512(sums + j * kLanes + i);
    transpose_16(r);
    for (int j = 0; j < 16; ++j) _mm512_storeu_si512(to + (i + j) * kOutputs, r[j]);
  }
}
#else
const PixelKernel pixel_permutes[2] = {};
const OutputKernel output_permutes[2] = {}, folded_permutes[2] = {};
void turn_512(const int32_t *, int64_t, int32_t *) {}
#endif

}  // namespace axdnn
