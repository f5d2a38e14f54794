// Look-up paths: the input with its border, and which loop takes it.
#include "lookup.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "cpu.h"
#include "shape.h"
#include "threads.h"

namespace axdnn {

Lookup::Lookup(const axdnn_shape &shape, const uint8_t *x, const uint8_t *weights, int32_t threads, Memory &memory)
    : s(shape), w(weights), inputs(s.channels / s.groups), outputs(s.outputs / s.groups),
      taps(s.kernel_h * s.kernel_w), terms(inputs * taps), height(s.height + 2 * s.pad_h),
      width(s.width + 2 * s.pad_w), plane(height * width), pixels_out(s.out_h * s.out_w) {
  uint8_t *planes = memory.room<uint8_t>(s.batch * s.channels * plane + 2 * kLanes);
  bordered = planes;
  in_parallel(s.batch, threads, [&](int64_t begin, int64_t end) {
    for (int64_t image = begin; image < end; ++image) {
      const uint8_t *from = x + image * s.x_batch;
      uint8_t *to = planes + image * s.channels * plane;
      if (plane == 1 && s.x_channel == 1) std::memcpy(to, from, s.channels);  // a row of a matrix
      else
        for (int64_t c = 0; c < s.channels; ++c, from += s.x_channel, to += plane) copy_plane(from, to);
    }
  });
  for (int64_t c = 0; c < inputs; ++c)
    for (int64_t y = 0; y < s.kernel_h; ++y)
      for (int64_t k = 0; k < s.kernel_w; ++k)
        offsets.push_back(c * plane + y * s.dilation_h * width + k * s.dilation_w);
}

void Lookup::copy_plane(const uint8_t *from, uint8_t *to) const {
  if (s.pad_h || s.pad_w) std::memset(to, static_cast<int>(s.pad), plane);
  to += s.pad_h * width + s.pad_w;
  for (int64_t y = 0; y < s.height; ++y, from += s.x_row, to += width)
    if (s.x_column == 1) std::memcpy(to, from, s.width);
    else
      for (int64_t j = 0; j < s.width; ++j) to[j] = from[j * s.x_column];
}

void Lookup::find_corners(int64_t group, int64_t first, int64_t count, int64_t *corners) const {
  int64_t x = first % s.out_w, y = first / s.out_w % s.out_h, image = first / pixels_out;
  for (int64_t i = 0; i < count; ++y, x = 0) {
    if (y == s.out_h) y = 0, ++image;
    const int64_t line = corner(image, group, y, 0) - bordered, end = std::min(s.out_w, x + count - i);
    for (; x < end; ++x) corners[i++] = line + x * s.stride_w;
  }
}

namespace {

std::vector<int32_t> constants(const Lookup &l, const int32_t *base) {
  std::vector<int32_t> found(l.s.outputs);
  const bool alike = std::all_of(base, base + 256, [&](int32_t b) { return b == base[0]; });
  for (int64_t n = 0; n < l.s.outputs; ++n) {
    uint32_t total = static_cast<uint32_t>(base[0]) * static_cast<uint32_t>(l.terms);
    if (!alike) {
      uint32_t parts[4] = {};  // added up beside each other
      const uint8_t *w = l.w + n * l.terms;
      int64_t t = 0;
      for (; t + 4 <= l.terms; t += 4)
        for (int64_t i = 0; i < 4; ++i) parts[i] += static_cast<uint32_t>(base[w[t + i]]);
      for (; t < l.terms; ++t) parts[0] += static_cast<uint32_t>(base[w[t]]);
      total = parts[0] + parts[1] + parts[2] + parts[3];
    }
    found[n] = static_cast<int32_t>(total);
  }
  return found;
}

// Lanes that hold outputs pay where there are many; products in the border are then left out.
bool outputs_are_lanes(const Lookup &l) {
  const int64_t wide = (l.outputs + 63) / 64 * 64, pixels = (l.pixels_out + 63) / 64 * 64;
  return l.outputs >= 64 && wide * l.pixels_out <= pixels * l.outputs * 5 / 4;
}

}  // namespace
}  // namespace axdnn

extern "C" int32_t axdnn_conv_lookup(const axdnn_shape *shape, const uint8_t *x, const uint8_t *w,
                                     const uint8_t *columns, const uint8_t *rows, int32_t count, int32_t folded,
                                     const int32_t *base, int32_t *out, int32_t add, int32_t variant, int32_t threads) {
  using namespace axdnn;
  if (!sound(*shape) || (count != 1 && count != 2) || threads < 1) return AXDNN_BAD_SHAPE;
  if (variant != AXDNN_PORTABLE && !(variant == AXDNN_VNNI && axdnn_has_permutes())) return AXDNN_NO_VARIANT;
  const bool permutes = variant == AXDNN_VNNI;
  try {
    static thread_local Memory memory;
    const Lookup lookup(*shape, x, w, threads, memory);
    const Entries entries{columns, rows, count, folded != 0, constants(lookup, base)};
    const Target target{out, add != 0};
    if (permutes && outputs_are_lanes(lookup)) over_outputs(lookup, entries, target, threads);
    else over_pixels(lookup, entries, target, permutes, threads);
    memory.release_if_large();
  } catch (const std::bad_alloc &) {
    return AXDNN_NO_MEMORY;
  }
  return AXDNN_OK;
}
