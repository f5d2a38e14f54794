// Matrices of bytes, transposed.
#include <algorithm>
#include <cstring>

#include "bytes.h"
#include "cpu.h"

#if defined(__x86_64__)
#include "avx512.h"
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace axdnn {
namespace {

constexpr int64_t kBlock = 16;

// Sixteen rows of sixteen bytes; the first `rows` come from memory, the rest are anything.
void transpose_block(const uint8_t *const (&from)[kBlock], uint8_t (&to)[kBlock][kBlock]) {
#if defined(__SSE2__)
  __m128i a[kBlock], b[kBlock];
  for (int i = 0; i < kBlock; ++i) a[i] = _mm_loadu_si128(reinterpret_cast<const __m128i *>(from[i]));
  for (int turn = 0; turn < 4; ++turn) {  // each turn interleaves row i with row i + 8
    for (int i = 0; i < 8; ++i) {
      b[2 * i] = _mm_unpacklo_epi8(a[i], a[i + 8]);
      b[2 * i + 1] = _mm_unpackhi_epi8(a[i], a[i + 8]);
    }
    for (int i = 0; i < kBlock; ++i) a[i] = b[i];
  }
  for (int i = 0; i < kBlock; ++i) _mm_store_si128(reinterpret_cast<__m128i *>(to[i]), a[i]);
#else
  for (int i = 0; i < kBlock; ++i)
    for (int j = 0; j < kBlock; ++j) to[j][i] = from[i][j];
#endif
}

void transpose_blocks(const uint8_t *from, int64_t from_stride, int64_t rows, int64_t columns, uint8_t *to) {
  const uint8_t *end = from + (rows - 1) * from_stride + columns;
  alignas(16) uint8_t block[kBlock][kBlock], tails[kBlock][kBlock] = {};
  for (int64_t left = 0; left < columns; left += kBlock) {
    // the last block of columns or rows reaches back into the one before it where there is one
    const int64_t c = std::max<int64_t>(0, std::min(left, columns - kBlock)), wide = std::min(columns - c, kBlock);
    for (int64_t top = 0; top < rows; top += kBlock) {
      const int64_t r = std::max<int64_t>(0, std::min(top, rows - kBlock)), high = std::min(rows - r, kBlock);
      const uint8_t *lines[kBlock];
      for (int64_t i = 0; i < kBlock; ++i) {
        lines[i] = i < high ? from + (r + i) * from_stride + c : tails[0];
        if (lines[i] != tails[0] && lines[i] + kBlock > end) {
          std::memcpy(tails[i], lines[i], wide);
          lines[i] = tails[i];
        }
      }
      transpose_block(lines, block);
      uint8_t *target = to + c * rows + r;
      // with fewer rows than sixteen, what is written too much is overwritten by the next column
      for (int64_t j = 0; j < wide; ++j) std::memcpy(target + j * rows, block[j], kBlock);
    }
  }
}

#if defined(__x86_64__)
// Sixteen rows of 64 bytes at a time: four blocks beside each other, each in a lane.
AXDNN_512 void transpose_512(const uint8_t *from, int64_t from_stride, int64_t rows, int64_t columns, uint8_t *to) {
  for (int64_t left = 0; left < columns; left += 64) {
    const int64_t wide = std::min<int64_t>(64, columns - left);
    const __mmask64 kept = ~uint64_t{0} >> (64 - wide);
    for (int64_t top = 0; top < rows; top += kBlock) {
      // the last block of rows reaches back into the one before it where there is one; if there is none, what is
      // written too much is overwritten by the next column
      const int64_t r = std::max<int64_t>(0, std::min(top, rows - kBlock)), high = std::min(rows - r, kBlock);
      __m512i a[kBlock], b[kBlock];
      for (int i = 0; i < kBlock; ++i)
        a[i] = i < high ? _mm512_maskz_loadu_epi8(kept, from + (r + i) * from_stride + left) : _mm512_setzero_si512();
      for (int turn = 0; turn < 4; ++turn) {
        for (int i = 0; i < 8; ++i) {
          b[2 * i] = _mm512_unpacklo_epi8(a[i], a[i + 8]);
          b[2 * i + 1] = _mm512_unpackhi_epi8(a[i], a[i + 8]);
        }
        for (int i = 0; i < kBlock; ++i) a[i] = b[i];
      }
      uint8_t *target = to + left * rows + r;
      const auto put = [&](int64_t column, __m128i bytes) AXDNN_512 {
        if (column < wide) _mm_storeu_si128(reinterpret_cast<__m128i *>(target + column * rows), bytes);
      };
      for (int i = 0; i < kBlock; ++i) put(i, _mm512_castsi512_si128(a[i]));
      for (int i = 0; i < kBlock; ++i) put(16 + i, _mm512_extracti32x4_epi32(a[i], 1));
      for (int i = 0; i < kBlock; ++i) put(32 + i, _mm512_extracti32x4_epi32(a[i], 2));
      for (int i = 0; i < kBlock; ++i) put(48 + i, _mm512_extracti32x4_epi32(a[i], 3));
    }
  }
}

// Few columns that follow each other: byte c of 64 rows lies in as many registers as there are columns, and a permute
// takes it from two of them.
constexpr int64_t kFew = 32;

struct Unzip {
  int64_t columns = 0;
  uint8_t index[kFew][64];
  uint64_t mask[kFew][kFew / 2];

  void prepare(int64_t wanted) {
    if (columns == wanted) return;
    columns = wanted;
    std::memset(mask, 0, sizeof mask);
    for (int64_t c = 0; c < columns; ++c)
      for (int64_t r = 0; r < 64; ++r) {
        const int64_t at = r * columns + c;
        index[c][r] = static_cast<uint8_t>(at % 128);
        mask[c][at / 128] |= uint64_t{1} << r;
      }
  }
};

AXDNN_VBMI void unzip(const uint8_t *from, int64_t rows, int64_t columns, uint8_t *to) {
  static thread_local Unzip how;
  how.prepare(columns);
  for (int64_t top = 0; top < rows; top += 64) {
    const int64_t r = std::max<int64_t>(0, std::min(top, rows - 64));  // reaches back, as above
    const int64_t bytes = std::min<int64_t>(64, rows - r) * columns;
    __m512i a[kFew + 1];
    for (int64_t i = 0; i <= columns; ++i) {
      const int64_t rest = std::clamp<int64_t>(bytes - 64 * i, 0, 64);
      const __mmask64 kept = rest == 0 ? 0 : ~uint64_t{0} >> (64 - rest);
      const uint8_t *at = from + r * columns + 64 * i;
      a[i] = _mm512_maskz_loadu_epi8(kept, at);
      _mm_prefetch(reinterpret_cast<const char *>(at + 4096), _MM_HINT_T0);  // the next weights are the next page
    }
    for (int64_t c = 0; c < columns; ++c) {
      const __m512i index = _mm512_loadu_si512(how.index[c]);
      __m512i found = _mm512_setzero_si512();
      for (int64_t i = 0; i < columns; i += 2)
        found = _mm512_mask_blend_epi8(how.mask[c][i / 2], found, _mm512_permutex2var_epi8(a[i], index, a[i + 1]));
      _mm512_storeu_si512(to + c * rows + r, found);
    }
  }
}
#endif

}  // namespace

void transpose(const uint8_t *from, int64_t from_stride, int64_t rows, int64_t columns, uint8_t *to) {
#if defined(__x86_64__)
  if (features().permutes && columns <= kFew && from_stride == columns) return unzip(from, rows, columns, to);
  if (features().avx512) return transpose_512(from, from_stride, rows, columns, to);
#endif
  transpose_blocks(from, from_stride, rows, columns, to);
}

}  // namespace axdnn
