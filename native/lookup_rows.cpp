// Look-ups by rows of products, for entries of any width: for a term and sixteen outputs the products with each of the
// 256 codes are laid out once, sixteen numbers a code; then every pixel adds the row of its code. What laying out costs is
// shared by all pixels, and a row is sixteen products for one load.
#include <algorithm>
#include <new>

#include "cpu.h"
#include "lookup.h"
#include "shape.h"
#include "threads.h"

#if defined(__x86_64__)
#include "avx512.h"
#endif

namespace axdnn {
namespace {

constexpr int64_t kTogether = 8;      // terms whose rows are added in one go
constexpr int64_t kPixels = 8192;     // whose sums are kept
constexpr int64_t kRows = 256 * kOutputs;

using Builder = void (*)(const int32_t *const *columns, int32_t *rows);

// to[i] = from[i], or 0 without `from`, + the rows that pixel i finds for every term.
struct Pass {
  const uint8_t *x;
  const int64_t *corners, *offsets;
  int64_t pixels;
  const int32_t *rows, *from;  // (terms, 256, kOutputs), (pixels, kOutputs)
  int32_t *to;
  int64_t to_stride;
};
using AdderOfRows = void (*)(const Pass &pass);

void build(const int32_t *const *columns, int32_t *rows) {
  for (int64_t a = 0; a < 256; ++a)
    for (int64_t n = 0; n < kOutputs; ++n) rows[a * kOutputs + n] = columns[n][a];
}

using Sixteen = uint32_t __attribute__((vector_size(4 * kOutputs), aligned(64), may_alias));
using Unaligned = uint32_t __attribute__((vector_size(4 * kOutputs), aligned(4), may_alias));

__attribute__((always_inline)) inline void add_rows(const Pass &pass) {
  const Pass p = pass;
  const uint8_t *lines[kTogether];
  for (int64_t t = 0; t < kTogether; ++t) lines[t] = p.x + p.offsets[t];
  const auto *table = reinterpret_cast<const Sixteen *>(p.rows), *from = reinterpret_cast<const Sixteen *>(p.from);
  for (int64_t i = 0; i < p.pixels; ++i) {
    const int64_t at = p.corners[i];
    Sixteen even = table[lines[0][at]], odd = table[256 + lines[1][at]];
    if (from) even += from[i];
#pragma GCC unroll 8
    for (int64_t t = 2; t < kTogether; t += 2) {
      even += table[256 * t + lines[t][at]];
      odd += table[256 * (t + 1) + lines[t + 1][at]];
    }
    *reinterpret_cast<Unaligned *>(p.to + i * p.to_stride) = even + odd;
  }
}

void add_rows_portable(const Pass &pass) { add_rows(pass); }
#if defined(__x86_64__)
__attribute__((target("avx2"))) void add_rows_avx2(const Pass &pass) { add_rows(pass); }
AXDNN_512 void add_rows_512(const Pass &pass) { add_rows(pass); }

AXDNN_512 void build_512(const int32_t *const *columns, int32_t *rows) {
  for (int64_t a = 0; a < 256; a += 16) {
    __m512i r[16];
    for (int n = 0; n < 16; ++n) r[n] = _mm512_loadu_si512(columns[n] + a);
    transpose_16(r);
    for (int n = 0; n < 16; ++n) _mm512_store_si512(rows + (a + n) * kOutputs, r[n]);
  }
}
#else
#define add_rows_avx2 add_rows_portable
#define add_rows_512 add_rows_portable
#define build_512 build
#endif

struct alignas(64) Line {
  int32_t numbers[kOutputs];
};

class OverRows {
 public:
  OverRows(const Lookup &l, const int32_t *entries, int32_t *out, int32_t variant)
      : l_(l), entries_(entries), out_(out), build_(variant >= AXDNN_VNNI ? build_512 : build),
        add_(variant >= AXDNN_VNNI ? add_rows_512 : variant >= AXDNN_AVX2 ? add_rows_avx2 : add_rows_portable),
        blocks_((l.outputs + kOutputs - 1) / kOutputs) {}

  int64_t units() const { return l_.s.groups * blocks_; }

  // Pixels [begin, end) of sixteen outputs.
  void run(int64_t unit, int64_t begin, int64_t end) const {
    const int64_t group = unit / blocks_, first = group * l_.outputs + unit % blocks_ * kOutputs;
    const int64_t outputs = std::min(kOutputs, (group + 1) * l_.outputs - first);
    static thread_local Memory row_memory, sum_memory, corner_memory;
    Line *rows = row_memory.room<Line>(kTogether * 256), *sums = sum_memory.room<Line>(std::min(kPixels, end - begin));
    int64_t *corners = corner_memory.room<int64_t>(std::min(kPixels, end - begin));
    for (int64_t p = begin; p < end; p += kPixels) {
      const int64_t pixels = std::min(kPixels, end - p);
      l_.find_corners(group, p, pixels, corners);
      int32_t *to = out_ + p * l_.s.outputs + first;
      for (int64_t t = 0; t < l_.terms; t += kTogether) {
        int64_t offsets[kTogether] = {};
        build_terms(first, outputs, t, rows, offsets);
        const bool last = outputs == kOutputs && t + kTogether >= l_.terms;  // straight to where the sums belong
        add_({l_.bordered, corners, offsets, pixels, rows[0].numbers, t ? sums[0].numbers : nullptr,
              last ? to : sums[0].numbers, last ? l_.s.outputs : kOutputs});
      }
      for (int64_t i = 0; outputs < kOutputs && i < pixels; ++i, to += l_.s.outputs)
        std::copy(sums[i].numbers, sums[i].numbers + outputs, to);
    }
  }

 private:
  void build_terms(int64_t first, int64_t outputs, int64_t t, Line *rows, int64_t *offsets) const {
    for (int64_t k = 0; k < kTogether; ++k) {
      int32_t *to = rows[k * 256].numbers;
      if (t + k >= l_.terms) {  // a term that is not there
        std::fill(to, to + kRows, 0);
        continue;
      }
      offsets[k] = l_.offsets[t + k];
      const int32_t *columns[kOutputs];
      for (int64_t n = 0; n < kOutputs; ++n)  // outputs that are not there repeat the last
        columns[n] = entries_ + l_.w[(first + std::min(n, outputs - 1)) * l_.terms + t + k] * 256;
      build_(columns, to);
    }
  }

  const Lookup &l_;
  const int32_t *entries_;
  int32_t *out_;
  Builder build_;
  AdderOfRows add_;
  int64_t blocks_;
};

}  // namespace
}  // namespace axdnn

extern "C" int32_t axdnn_conv_rows(const axdnn_shape *shape, const uint8_t *x, const uint8_t *w,
                                   const int32_t *entries, int32_t *out, int32_t variant, int32_t threads) {
  using namespace axdnn;
  if (!sound(*shape) || threads < 1) return AXDNN_BAD_SHAPE;
  if (!axdnn_has(variant)) return AXDNN_NO_VARIANT;
  try {
    static thread_local Memory memory;
    const Lookup lookup(*shape, x, w, threads, memory);
    const OverRows work(lookup, entries, out, variant);
    const int64_t pixels = shape->batch * lookup.pixels_out;
    const int64_t parts = std::max<int64_t>(1, (threads + work.units() - 1) / work.units());
    in_parallel(work.units() * parts, threads, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t part = i % parts;
        work.run(i / parts, pixels * part / parts, pixels * (part + 1) / parts);
      }
    });
    memory.release_if_large();
  } catch (const std::bad_alloc &) {
    return AXDNN_NO_MEMORY;
  }
  return AXDNN_OK;
}
