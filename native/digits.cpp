// Digit path: look the factors up once an input byte, multiply windows of them in blocks that fit the cache.
//
// A row of the left matrix is a window: for every pair every run of it that is contiguous in a plane (`map_planes`), cut
// into chunks. Kernels read windows straight from the planes; for tile registers they are laid out side by side first,
// padded with anything to whole steps, where the packed weights are zero.
#include "digits.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <vector>

#include "bytes.h"
#include "cpu.h"
#include "layout.h"
#include "planes.h"
#include "requantise.h"
#include "shape.h"
#include "threads.h"

namespace axdnn {
namespace {

constexpr int64_t kRowsAtOnce = 512;        // windows laid out at once
constexpr int64_t kPlaneBytes = 1 << 20;    // planes of a band, if a row of outputs allows it
constexpr int64_t kBandsAThread = 4;

// A stretch of the work: images [image, image + images), output rows [top, top + rows) of each.
struct Band {
  int64_t image, images, top, rows;
};

// Length of about equal stretches of `count`, none longer than `most`: `wanted` of them or more, but rather fewer than
// shorter ones than `least`.
int64_t stretch(int64_t count, int64_t most, int64_t least, int64_t wanted) {
  const int64_t parts = std::max((count + most - 1) / most, std::min(wanted, count / std::max<int64_t>(1, least)));
  return parts < 2 ? count : (count + parts - 1) / parts;
}

// Several threads get several bands each, so that none waits long for the last one.
std::vector<Band> bands(const Layout &l, int64_t pairs, int32_t threads) {
  const axdnn_shape &s = l.s;
  const int64_t row_bytes = l.width * l.inputs * pairs, image_bytes = l.height * row_bytes;
  const int64_t wanted = threads > 1 ? kBandsAThread * threads : 1;
  std::vector<Band> found;
  if (image_bytes <= kPlaneBytes) {
    int64_t images = std::max<int64_t>(1, kPlaneBytes / std::max<int64_t>(1, image_bytes));
    images = std::min(images, std::max<int64_t>(1, 4 * kRowsAtOnce / std::max<int64_t>(1, l.pixels_out)));
    const int64_t busy = std::min(kRowsAtOnce / std::max<int64_t>(1, l.pixels_out), s.batch / threads);
    images = std::max<int64_t>(1, stretch(s.batch, images, busy, wanted));
    for (int64_t i = 0; i < s.batch; i += images) found.push_back({i, std::min(images, s.batch - i), 0, s.out_h});
    return found;
  }
  const int64_t fit = kPlaneBytes / row_bytes - (s.kernel_h - 1) * s.dilation_h;
  int64_t rows = std::clamp<int64_t>(fit / s.stride_h, std::min<int64_t>(4, s.out_h), s.out_h);
  const int64_t busy = std::max<int64_t>(4, std::min(kRowsAtOnce / std::max<int64_t>(1, s.out_w), s.out_h / threads));
  rows = std::max<int64_t>(1, stretch(s.out_h, rows, busy, (wanted + s.batch - 1) / std::max<int64_t>(1, s.batch)));
  for (int64_t i = 0; i < s.batch; ++i)
    for (int64_t y = 0; y < s.out_h; y += rows) found.push_back({i, 1, y, std::min(rows, s.out_h - y)});
  return found;
}

// What a thread works with.
struct Buffers {
  Memory planes, left, codes, corners, sums;
  std::vector<Run> runs;
  alignas(64) int32_t scratch[kTile * kTile];
};

class Convolution {
 public:
  Convolution(const Layout &layout, const axdnn_digits &digits, const uint8_t *x, const Variant &variant,
              int64_t conv_group, const std::vector<Packed> &packed, const int32_t *constant, int32_t *out,
              const axdnn_emission *emission, Requantiser requantise)
      : l_(layout), d_(digits), x_(x), v_(variant), conv_group_(conv_group), packed_(packed), constant_(constant),
        out_(out), emission_(emission), requantise_(requantise) {}

  void run(const Band &band, Buffers &b) const {
    bool first = constant_ != nullptr;
    const int64_t pixels = band.images * band.rows * l_.s.out_w;
    const bool at_once = packed_.size() == 1;  // then sums are known as soon as windows are done with
    if (emission_) b.sums.room<int32_t>((at_once ? kRowsAtOnce : pixels) * l_.outputs);
    for (const Packed &p : packed_) {
      map(band, p, b);
      for (int64_t m = 0; m < pixels; m += kRowsAtOnce) {
        const int64_t rows = std::min(kRowsAtOnce, pixels - m);
        find_corners(band, m, rows, b);
        for (const Chunk &chunk : p.chunks) {
          find_runs(band, chunk, b);
          const bool begins = &chunk == &p.chunks.front();
          const Target to = target(band, p, m, at_once ? m : 0, first && begins, b);
          if (v_.straight) multiply_straight(p, chunk, rows, begins, to, b);
          else multiply_tiles(p, chunk, rows, to, b);
        }
        if (emission_ && at_once) emit(band, m, rows, b);
      }
      first = false;
    }
    if (emission_ && !at_once) emit(band, 0, pixels, b);
  }

 private:
  int64_t place(const Band &band, int64_t pixel) const {  // pixels of a band are contiguous in the result
    return ((band.image * l_.s.out_h + band.top) * l_.s.out_w + pixel) * l_.s.outputs + conv_group_ * l_.outputs;
  }

  // Where sums of a pixel and those after it go; those of emissions to a buffer that begins with pixel `base`.
  Target target(const Band &band, const Packed &p, int64_t pixel, int64_t base, bool first, Buffers &b) const {
    const int32_t *start = first ? constant_ : nullptr;
    if (!emission_) return {p.part.scale, start, out_ + place(band, pixel), l_.s.outputs};
    return {p.part.scale, start, b.sums.room<int32_t>(0) + (pixel - base) * l_.outputs, l_.outputs};
  }

  void emit(const Band &band, int64_t pixel, int64_t rows, Buffers &b) const {
    const int64_t channel = conv_group_ * l_.outputs;
    requantise_({b.sums.room<int32_t>(0), emission_->bias + channel, emission_->unit + channel, l_.outputs, l_.outputs,
                 l_.s.outputs, emission_->coding, emission_->codes + place(band, pixel)}, 0, rows);
  }

  int64_t rows_in(const Band &band) const {
    return band.rows == l_.s.out_h ? l_.height
                                   : (band.rows - 1) * l_.s.stride_h + (l_.s.kernel_h - 1) * l_.s.dilation_h + 1;
  }

  void map(const Band &band, const Packed &p, Buffers &b) const {
    const int64_t height = rows_in(band), plane = band.images * height * l_.width * l_.inputs;
    int8_t *planes = b.planes.room<int8_t>(p.part.pairs * plane);
    const Stretch stretch{band.image, band.images, band.top * l_.s.stride_h, height, conv_group_ * l_.inputs, l_.inputs};
    map_planes(l_.s, x_, stretch, d_.f + p.part.first_pair * 256, p.part.pairs, v_, b.codes, planes);
  }

  void find_corners(const Band &band, int64_t m, int64_t rows, Buffers &b) const {
    const axdnn_shape &s = l_.s;
    const int64_t line = l_.width * l_.inputs, image = rows_in(band) * line, step = s.stride_w * l_.inputs;
    int64_t x = m % s.out_w, y = m / s.out_w % band.rows, i = m / (s.out_w * band.rows);
    int64_t *corners = b.corners.room<int64_t>(up(rows, kWindows));
    for (int64_t n = 0; n < rows;) {
      const int64_t first = i * image + y * s.stride_h * line, end = std::min(s.out_w, x + rows - n);
      for (; x < end; ++x) corners[n++] = first + x * step;
      x = 0;
      if (++y == band.rows) y = 0, ++i;
    }
    std::fill(corners + rows, corners + up(rows, kWindows), corners[rows - 1]);
  }

  void find_runs(const Band &band, const Chunk &chunk, Buffers &b) const {
    const int64_t plane = band.images * rows_in(band) * l_.width * l_.inputs;
    b.runs.clear();
    for (const Piece &piece : chunk.pieces) b.runs.push_back({piece.pair * plane + piece.from, piece.length});
  }

  void multiply_straight(const Packed &p, const Chunk &chunk, int64_t rows, bool begins, const Target &to,
                         Buffers &b) const {
    const int64_t panel_bytes = p.bytes * kPanel;
    for (int64_t n = 0; n < l_.outputs; n += kTile)
      v_.straight(b.planes.room<int8_t>(0), b.corners.room<int64_t>(0), rows, b.runs.data(),
                  static_cast<int64_t>(b.runs.size()), p.panels + n * p.bytes + chunk.first * kPanel, panel_bytes,
                  begins && !p.initial.empty() ? p.initial.data() + n : nullptr, std::min(kTile, l_.outputs - n),
                  moved(to, 0, n));
  }

  void multiply_tiles(const Packed &p, const Chunk &chunk, int64_t rows, const Target &to, Buffers &b) const {
    const int64_t lda = chunk.bytes, panel_bytes = p.bytes * kPanel, steps = lda / kStep;
    int8_t *left = b.left.room<int8_t>(up(rows, kTile) * lda);
    v_.lay_out(b.planes.room<int8_t>(0), b.corners.room<int64_t>(0), rows, b.runs.data(),
               static_cast<int64_t>(b.runs.size()), lda, left);
    for (int64_t n = 0; n < l_.outputs; n += kTile) {
      const int64_t columns = std::min(kTile, l_.outputs - n), panels = columns > kPanel ? 2 : 1;
      const int8_t *right = p.panels + n * p.bytes + chunk.first * kPanel;
      for (int64_t i = 0; i < rows; i += kTile) {
        const int64_t block = std::min(kTile, rows - i);
        v_.kernel(left + i * lda, lda, block, right, panel_bytes, panels, steps, b.scratch);
        v_.add(b.scratch, block, columns, moved(to, i, n));
      }
    }
  }

  static Target moved(const Target &t, int64_t rows, int64_t columns) {
    return {t.scale, t.start ? t.start + columns : nullptr, t.to + rows * t.stride + columns, t.stride};
  }

  const Layout &l_;
  const axdnn_digits &d_;
  const uint8_t *x_;
  const Variant &v_;
  int64_t conv_group_;
  const std::vector<Packed> &packed_;
  const int32_t *constant_;
  int32_t *out_;
  const axdnn_emission *emission_;  // or null
  Requantiser requantise_;
};

void convolve(const axdnn_shape &s, const uint8_t *x, const uint8_t *w, const axdnn_digits &d, int32_t *out,
              const axdnn_emission *emission, int32_t variant, const Variant &v, int32_t threads) {
  static thread_local Memory weights, whole;
  const Layout l(s);
  const std::vector<Band> work = bands(l, *std::max_element(d.sizes, d.sizes + d.groups), threads);
  const std::vector<std::vector<Part>> all = passes(l, d);
  const bool apart = emission && all.size() > 1;  // sums of several passes are known after the last
  if (apart) out = whole.room<int32_t>(s.batch * l.pixels_out * s.outputs);
  for (int64_t group = 0; group < s.groups; ++group) {
    std::vector<int32_t> constants(l.outputs);
    for (const std::vector<Part> &parts : all) {
      int32_t *constant = &parts == &all.front() ? constants.data() : nullptr;
      const std::vector<Packed> packed = pack(l, d, parts, group, w, v, threads, weights, constant);
      const Convolution convolution(l, d, x, v, group, packed, constant, out, apart ? nullptr : emission,
                                    requantiser(variant));
      in_parallel(static_cast<int64_t>(work.size()), threads, [&](int64_t begin, int64_t end) {
        static thread_local Buffers buffers;
        if (v.begin) v.begin();
        for (int64_t i = begin; i < end; ++i) convolution.run(work[i], buffers);
        if (v.end) v.end();
        for (Memory *memory : {&buffers.planes, &buffers.left, &buffers.codes, &buffers.sums})
          memory->release_if_large();
      });
    }
  }
  if (apart) requantise_all(out, s.batch * l.pixels_out, s.outputs, *emission, variant, threads);
  weights.release_if_large();
  whole.release_if_large();
}

}  // namespace
}  // namespace axdnn

extern "C" int32_t axdnn_conv_digits(const axdnn_shape *shape, const uint8_t *x, const uint8_t *w,
                                     const axdnn_digits *digits, int32_t *out, const axdnn_emission *emission,
                                     int32_t variant, int32_t threads) {
  using namespace axdnn;
  if (!sound(*shape) || threads < 1 || digits->groups < 1) return AXDNN_BAD_SHAPE;
  if (!axdnn_has(variant)) return AXDNN_NO_VARIANT;
  const Variant *variants[] = {&portable_variant, &avx2_variant, &avx_vnni_variant, &vnni_variant, &amx_variant};
  try {
    if (shape->groups == shape->channels && shape->groups > 1)
      convolve_depthwise(*shape, x, w, *digits, out, emission, variant, *variants[variant], threads);
    else convolve(*shape, x, w, *digits, out, emission, variant, *variants[variant], threads);
  } catch (const std::bad_alloc &) {
    return AXDNN_NO_MEMORY;
  }
  return AXDNN_OK;
}
