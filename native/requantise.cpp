// From sums to the next layer's codes: bias, scale, rounding half to even, clamping; and the addition of two tensors.
//
// Every step is one IEEE float32 operation (the build forbids contraction), so the codes are those of the same steps in
// torch. Clamping to whole bounds before rounding gives what clamping after it does, and keeps the value where adding
// 1.5 * 2^23 rounds it to a whole number.
#include "requantise.h"

#include <algorithm>
#include <new>

#include "threads.h"

#if defined(__x86_64__)
#include "avx512.h"
#endif

namespace axdnn {
namespace {

#define AXDNN_INLINE __attribute__((always_inline)) inline
constexpr float kRounder = 12582912.0f;
constexpr int64_t kAtOnce = 1 << 16;  // elements of a piece of work

AXDNN_INLINE uint8_t code_of(float level, const axdnn_coding &c) {
  level = level < c.low ? c.low : level;
  level = level > c.high ? c.high : level;
  const int32_t whole = static_cast<int32_t>((level + kRounder) - kRounder);
  return static_cast<uint8_t>(whole * c.step + c.zero);
}

AXDNN_INLINE void requantise(const Sums &s, int64_t begin, int64_t end) {
  const axdnn_coding coding = s.coding;
  const int64_t channels = s.channels;
  for (int64_t row = begin; row < end; ++row) {
    const int32_t *__restrict sums = s.sums + row * s.sums_stride, *__restrict bias = s.bias;
    const float *__restrict unit = s.unit;
    uint8_t *__restrict codes = s.codes + row * s.codes_stride;
    for (int64_t i = 0; i < channels; ++i) {
      const int32_t sum = static_cast<int32_t>(static_cast<uint32_t>(sums[i]) + static_cast<uint32_t>(bias[i]));
      codes[i] = code_of(static_cast<float>(sum) * unit[i], coding);
    }
  }
}

struct Addends {
  const uint8_t *a, *b;
  axdnn_addend first, second;
  const axdnn_sink *sinks;
  int64_t number_of_sinks;
};

AXDNN_INLINE float value_of(uint8_t code, const axdnn_addend &from) {
  return (static_cast<float>(static_cast<int32_t>(static_cast<uint8_t>(code ^ from.flip))) - from.zero) * from.scale;
}

AXDNN_INLINE void add(const Addends &s, int64_t begin, int64_t end) {
  const axdnn_addend first = s.first, second = s.second;
  const uint8_t *__restrict a = s.a, *__restrict b = s.b;
  for (int64_t k = 0; k < s.number_of_sinks; ++k) {
    const axdnn_coding coding = s.sinks[k].coding;
    const float inverse = s.sinks[k].inverse;
    uint8_t *__restrict codes = s.sinks[k].codes;
    for (int64_t i = begin; i < end; ++i)
      codes[i] = code_of((value_of(a[i], first) + value_of(b[i], second)) * inverse, coding);
  }
}

// The same loops, compiled for each kind of vector register.
void requantise_portable(const Sums &s, int64_t begin, int64_t end) { requantise(s, begin, end); }
void add_portable(const Addends &s, int64_t begin, int64_t end) { add(s, begin, end); }
#if defined(__x86_64__)
__attribute__((target("avx2"))) void requantise_avx2(const Sums &s, int64_t b, int64_t e) { requantise(s, b, e); }
__attribute__((target("avx2"))) void add_avx2(const Addends &s, int64_t b, int64_t e) { add(s, b, e); }

AXDNN_512 inline __mmask16 first_lanes(int64_t count) {
  return count >= 16 ? 0xffff : static_cast<__mmask16>((1u << count) - 1);
}

// Sixteen codes; the register's rounding is that of torch, half to even.
AXDNN_512 inline void store_codes(__m512 level, const axdnn_coding &c, __mmask16 kept, uint8_t *codes) {
  level = _mm512_min_ps(_mm512_set1_ps(c.high), _mm512_max_ps(_mm512_set1_ps(c.low), level));
  __m512i steps = _mm512_cvtps_epi32(level);
  if (c.step != 1) steps = _mm512_mullo_epi32(steps, _mm512_set1_epi32(c.step));
  const __m128i found = _mm512_cvtepi32_epi8(_mm512_add_epi32(steps, _mm512_set1_epi32(c.zero)));
  if (kept == 0xffff) _mm_storeu_si128(reinterpret_cast<__m128i *>(codes), found);  // several times as fast as masked
  else _mm_mask_storeu_epi8(codes, kept, found);
}

AXDNN_512 void requantise_512(const Sums &s, int64_t begin, int64_t end) {
  const axdnn_coding coding = s.coding;
  const int64_t channels = s.channels;
  for (int64_t i = 0; i < channels; i += 16) {
    const __mmask16 kept = first_lanes(channels - i);
    const __m512i bias = _mm512_maskz_loadu_epi32(kept, s.bias + i);
    const __m512 unit = _mm512_maskz_loadu_ps(kept, s.unit + i);
    for (int64_t row = begin; row < end; ++row) {
      const __m512i sums = _mm512_maskz_loadu_epi32(kept, s.sums + row * s.sums_stride + i);
      const __m512 level = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_add_epi32(sums, bias)), unit);
      store_codes(level, coding, kept, s.codes + row * s.codes_stride + i);
    }
  }
}

// Whole numbers this small are exact floats: the zero is taken off before they become floats.
AXDNN_512 inline __m512 values_of(const uint8_t *codes, __mmask16 kept, const axdnn_addend &from) {
  const __m128i bytes = kept == 0xffff ? _mm_loadu_si128(reinterpret_cast<const __m128i *>(codes))
                                       : _mm_maskz_loadu_epi8(kept, codes);
  const __m512i whole = _mm512_xor_si512(_mm512_cvtepu8_epi32(bytes), _mm512_set1_epi32(from.flip));
  const __m512i zero = _mm512_set1_epi32(static_cast<int32_t>(from.zero));
  return _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(whole, zero)), _mm512_set1_ps(from.scale));
}

AXDNN_512 void add_512(const Addends &s, int64_t begin, int64_t end) {
  const axdnn_addend first = s.first, second = s.second;
  for (int64_t i = begin; i < end; i += 16) {
    const __mmask16 kept = first_lanes(end - i);
    const __m512 sum = _mm512_add_ps(values_of(s.a + i, kept, first), values_of(s.b + i, kept, second));
    for (int64_t k = 0; k < s.number_of_sinks; ++k)
      store_codes(_mm512_mul_ps(sum, _mm512_set1_ps(s.sinks[k].inverse)), s.sinks[k].coding, kept,
                  s.sinks[k].codes + i);
  }
}
#else
#define requantise_avx2 requantise_portable
#define requantise_512 requantise_portable
#define add_avx2 add_portable
#define add_512 add_portable
#endif

// One of three loops, for products have no part in this.
template <typename Loop>
Loop loop_of(int32_t variant, Loop portable, Loop avx2, Loop avx512) {
  return variant >= AXDNN_VNNI ? avx512 : variant >= AXDNN_AVX2 ? avx2 : portable;
}

template <typename Job, typename Loop>
void share_out(const Job &job, int64_t count, int64_t at_once, int32_t threads, Loop loop) {
  in_parallel((count + at_once - 1) / at_once, threads, [&](int64_t begin, int64_t end) {
    loop(job, begin * at_once, std::min(end * at_once, count));
  });
}

}  // namespace

Requantiser requantiser(int32_t variant) {
  return loop_of<Requantiser>(variant, requantise_portable, requantise_avx2, requantise_512);
}

void requantise_all(const int32_t *sums, int64_t rows, int64_t channels, const axdnn_emission &e, int32_t variant,
                    int32_t threads) {
  const Sums job{sums, e.bias, e.unit, channels, channels, channels, e.coding, e.codes};
  share_out(job, rows, std::max<int64_t>(1, kAtOnce / channels), threads, requantiser(variant));
}

}  // namespace axdnn

extern "C" int32_t axdnn_requantise(const int32_t *sums, int64_t rows, int64_t channels, const int32_t *bias,
                                    const float *unit, const axdnn_coding *coding, uint8_t *codes, int32_t variant,
                                    int32_t threads) {
  using namespace axdnn;
  if (rows < 0 || channels < 1 || threads < 1) return AXDNN_BAD_SHAPE;
  if (!axdnn_has(variant)) return AXDNN_NO_VARIANT;
  try {
    requantise_all(sums, rows, channels, {bias, unit, *coding, codes}, variant, threads);
  } catch (const std::bad_alloc &) {
    return AXDNN_NO_MEMORY;
  }
  return AXDNN_OK;
}

extern "C" int32_t axdnn_add(const uint8_t *a, const uint8_t *b, int64_t count, const axdnn_addend *first,
                             const axdnn_addend *second, const axdnn_sink *sinks, int64_t number_of_sinks,
                             int32_t variant, int32_t threads) {
  using namespace axdnn;
  using Loop = void (*)(const Addends &, int64_t, int64_t);
  if (count < 0 || threads < 1 || number_of_sinks < 0) return AXDNN_BAD_SHAPE;
  if (!axdnn_has(variant)) return AXDNN_NO_VARIANT;
  const Loop loop = loop_of<Loop>(variant, add_portable, add_avx2, add_512);
  try {
    share_out(Addends{a, b, *first, *second, sinks, number_of_sinks}, count, kAtOnce, threads, loop);
  } catch (const std::bad_alloc &) {
    return AXDNN_NO_MEMORY;
  }
  return AXDNN_OK;
}
