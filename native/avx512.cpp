// The digit path for AVX-512 with byte products (VNNI) and for tile registers (AMX).
#if defined(__x86_64__)
#include "avx512.h"
#include "cpu.h"
#include "digits.h"

#define AXDNN_VNNI_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))
#define AXDNN_AMX_TARGET __attribute__((target("avx512f,avx512bw,amx-tile,amx-int8")))

namespace axdnn {
namespace {

// Sums of row i and of sixteen columns from j, or of those there are, to their target.
AXDNN_512 inline void put(__m512i sums, int64_t i, int64_t j, int64_t columns, const Target &t) {
  if (t.scale != 1) sums = _mm512_mullo_epi32(sums, _mm512_set1_epi32(t.scale));
  int32_t *to = t.to + i * t.stride + j;
  const int32_t *before = t.start ? t.start + j : to;
  if (columns - j >= 16) return _mm512_storeu_si512(to, _mm512_add_epi32(_mm512_loadu_si512(before), sums));
  const __mmask16 kept = static_cast<__mmask16>((1u << (columns - j)) - 1);
  _mm512_mask_storeu_epi32(to, kept, _mm512_add_epi32(_mm512_maskz_loadu_epi32(kept, before), sums));
}

AXDNN_512 void add_512(const int32_t *scratch, int64_t rows, int64_t columns, const Target &t) {
  for (int64_t j = 0; j < columns; j += 16)
    for (int64_t i = 0; i < rows; ++i)
      put(_mm512_loadu_si512(scratch + i * kTile + j), i, j, columns, t);
}

AXDNN_512 void lay_out_512(const int8_t *planes, const int64_t *corners, int64_t windows, const Run *runs,
                           int64_t count, int64_t stride, int8_t *to) {
  for (int64_t i = 0; i < windows; ++i, to += stride) {
    int8_t *at = to;
    for (int64_t r = 0; r < count; ++r) {
      const int8_t *from = planes + corners[i] + runs[r].from;
      const int64_t length = runs[r].length;
      for (int64_t done = 0; done < length; done += 64)
        _mm512_storeu_si512(at + done, _mm512_loadu_si512(from + done));
      at += length;
    }
  }
}

AXDNN_512 void interleave_512(const int8_t *lines, int64_t stride, int64_t bytes, int8_t *panel) {
  static_assert(kPanel == 16 && kStep == 64, "a register holds sixteen columns of four terms");
  for (int64_t k = 0; k < bytes; k += kStep, panel += kStepBytes) {
    __m512i r[16];
    for (int i = 0; i < 16; ++i) r[i] = _mm512_loadu_si512(lines + i * stride + k);  // beyond the end there is slack
    transpose_16(r);
    if (bytes - k >= kStep)
      for (int i = 0; i < 16; ++i) _mm512_storeu_si512(panel + 64 * i, r[i]);
    else
      for (int i = 0; i < (bytes - k) / kFour; ++i) _mm512_storeu_si512(panel + 64 * i, r[i]);
  }
}

AXDNN_VBMI void map_vbmi(const int8_t *table, const uint8_t *from, int64_t count, int8_t *to) {
  const __m512i t0 = _mm512_loadu_si512(table), t1 = _mm512_loadu_si512(table + 64);
  const __m512i t2 = _mm512_loadu_si512(table + 128), t3 = _mm512_loadu_si512(table + 192);
  for (int64_t i = 0; i < count; i += 64) {
    const __mmask64 kept = count - i >= 64 ? ~0ull : (1ull << (count - i)) - 1;
    const __m512i code = _mm512_maskz_loadu_epi8(kept, from + i);
    const __m512i low = _mm512_permutex2var_epi8(t0, code, t1), high = _mm512_permutex2var_epi8(t2, code, t3);
    _mm512_mask_storeu_epi8(to + i, kept, _mm512_mask_blend_epi8(_mm512_movepi8_mask(code), low, high));
  }
}

void map_512(const int8_t *table, const uint8_t *from, int64_t count, int8_t *to) {
  (features().permutes ? map_vbmi : map_bytes)(table, from, count, to);
}

AXDNN_VNNI_TARGET void initial_vnni(const int8_t *panel, int64_t bytes, int32_t *initial) {
  const __m512i left = _mm512_set1_epi8(static_cast<char>(128));
  __m512i sums = _mm512_setzero_si512();
  for (int64_t k = 0; k < bytes; k += kFour)
    sums = _mm512_dpbusd_epi32(sums, left, _mm512_loadu_si512(panel + k * kPanel));
  _mm512_storeu_si512(initial, _mm512_sub_epi32(_mm512_setzero_si512(), sums));
}

// Four bytes of a window are broadcast against sixteen columns of four terms each.
template <int kRows, int kPanels>
AXDNN_VNNI_TARGET inline void rows_vnni(const int8_t *planes, const int64_t *corners, int64_t windows, const Run *runs,
                                        int64_t count, const int8_t *b, int64_t panel_bytes, const int32_t *initial,
                                        int64_t row, int64_t columns, const Target &t) {
  __m512i sums[kRows][kPanels];
  for (auto &sums_of_row : sums)
    for (int p = 0; p < kPanels; ++p)
      sums_of_row[p] = initial ? _mm512_loadu_si512(initial + p * kPanel) : _mm512_setzero_si512();
  const int8_t *window[kRows];
  for (int i = 0; i < kRows; ++i) window[i] = planes + corners[row + i];
  for (int64_t r = 0; r < count; ++r)
    for (int64_t k = runs[r].from, end = k + runs[r].length; k < end; k += kFour, b += kFour * kPanel) {
      __m512i right[kPanels];
      for (int p = 0; p < kPanels; ++p) right[p] = _mm512_loadu_si512(b + p * panel_bytes);
      for (int i = 0; i < kRows; ++i) {
        int32_t four;
        __builtin_memcpy(&four, window[i] + k, 4);
        const __m512i left = _mm512_set1_epi32(four);
        for (int p = 0; p < kPanels; ++p) sums[i][p] = _mm512_dpbusd_epi32(sums[i][p], left, right[p]);
      }
    }
  for (int i = 0; i < kRows && row + i < windows; ++i)
    for (int p = 0; p < kPanels; ++p) put(sums[i][p], row + i, p * kPanel, columns, t);
}

AXDNN_VNNI_TARGET void straight_vnni(const int8_t *planes, const int64_t *corners, int64_t windows, const Run *runs,
                                     int64_t count, const int8_t *b, int64_t panel_bytes, const int32_t *initial,
                                     int64_t columns, const Target &t) {
  for (int64_t i = 0; i < windows; i += 8) {
    const bool few = windows - i <= 4;
    const auto rows = columns > kPanel ? (few ? rows_vnni<4, 2> : rows_vnni<8, 2>)
                                       : (few ? rows_vnni<4, 1> : rows_vnni<8, 1>);
    rows(planes, corners, windows, runs, count, b, panel_bytes, initial, i, columns, t);
  }
}

struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

const volatile TileConfig tile_config;  // a local one is left unwritten: GCC 12 takes no note that it is read

AXDNN_AMX_TARGET void begin_amx() { _tile_loadconfig(const_cast<const TileConfig *>(&tile_config)); }

AXDNN_AMX_TARGET void end_amx() { _tile_release(); }

// Tiles 0 to 3 hold the sums of two blocks of rows and two panels, 4 and 5 the rows, 6 and 7 the panels.
AXDNN_AMX_TARGET void kernel_amx(const int8_t *a, int64_t lda, int64_t rows, const int8_t *b, int64_t panel_bytes,
                                 int64_t panels, int64_t steps, int32_t *scratch) {
  const int8_t *lower = a + kPanel * lda, *second = b + panel_bytes;
  constexpr int64_t scratch_stride = kTile * sizeof(int32_t);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  if (rows > kPanel && panels == 2) {
    for (int64_t s = 0; s < steps; ++s) {
      _tile_loadd(4, a + s * kStep, lda);
      _tile_loadd(6, b + s * kStepBytes, 64);
      _tile_dpbssd(0, 4, 6);
      _tile_loadd(5, lower + s * kStep, lda);
      _tile_dpbssd(2, 5, 6);
      _tile_loadd(7, second + s * kStepBytes, 64);
      _tile_dpbssd(1, 4, 7);
      _tile_dpbssd(3, 5, 7);
    }
  } else if (panels == 2) {
    for (int64_t s = 0; s < steps; ++s) {
      _tile_loadd(4, a + s * kStep, lda);
      _tile_loadd(6, b + s * kStepBytes, 64);
      _tile_dpbssd(0, 4, 6);
      _tile_loadd(7, second + s * kStepBytes, 64);
      _tile_dpbssd(1, 4, 7);
    }
  } else if (rows > kPanel) {
    for (int64_t s = 0; s < steps; ++s) {
      _tile_loadd(6, b + s * kStepBytes, 64);
      _tile_loadd(4, a + s * kStep, lda);
      _tile_dpbssd(0, 4, 6);
      _tile_loadd(5, lower + s * kStep, lda);
      _tile_dpbssd(2, 5, 6);
    }
  } else {
    for (int64_t s = 0; s < steps; ++s) {
      _tile_loadd(6, b + s * kStepBytes, 64);
      _tile_loadd(4, a + s * kStep, lda);
      _tile_dpbssd(0, 4, 6);
    }
  }
  _tile_stored(0, scratch, scratch_stride);
  if (panels == 2) _tile_stored(1, scratch + kPanel, scratch_stride);
  if (rows > kPanel) {
    _tile_stored(2, scratch + kPanel * kTile, scratch_stride);
    if (panels == 2) _tile_stored(3, scratch + kPanel * kTile + kPanel, scratch_stride);
  }
}

}  // namespace

const Variant vnni_variant = {straight_vnni, map_512, interleave_512, initial_vnni};
const Variant amx_variant = {nullptr,    map_512, interleave_512, nullptr,   kernel_amx,
                             add_512,    lay_out_512, begin_amx,  end_amx};

}  // namespace axdnn
#endif
