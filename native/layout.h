// How the digit path orders the terms of a window, and its packed weights.
#ifndef AXDNN_LAYOUT_H
#define AXDNN_LAYOUT_H

#include <algorithm>
#include <vector>

#include "axdnn_kernels.h"
#include "digits.h"
#include "memory.h"

namespace axdnn {

inline int64_t up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

struct Layout {
  const axdnn_shape &s;
  int64_t inputs, outputs;  // channels of one convolution group
  int64_t height, width;    // of the input with its border
  bool wide;                // a run covers the window's width, not one pixel
  int64_t run, window, pixels_out;

  explicit Layout(const axdnn_shape &shape)
      : s(shape), inputs(shape.channels / shape.groups), outputs(shape.outputs / shape.groups),
        height(shape.height + 2 * shape.pad_h), width(shape.width + 2 * shape.pad_w), wide(shape.dilation_w == 1),
        run(wide ? shape.kernel_w * inputs : inputs), window(shape.kernel_h * shape.kernel_w * inputs),
        pixels_out(shape.out_h * shape.out_w) {}
};

// Contiguous bytes of a window in one plane.
struct Piece {
  int64_t pair;    // of its scale
  int64_t from;    // offset in the plane from the window's corner
  int64_t term;    // first term, in the order of the weights (kernel_h, kernel_w, inputs)
  int64_t length;
  int64_t at;      // offset in the packed weights from the chunk's first
};

// Pieces that are multiplied together: side by side, then padded to whole steps; or, read straight from the planes, each
// padded to whole fours.
struct Chunk {
  std::vector<Piece> pieces;
  int64_t first = 0, bytes = 0;  // of the packed weights of a column, padding included
};

// Pairs of one scale.
struct Part {
  int64_t pairs, first_pair;
  int32_t scale;
};

// Packed weights of a part and one convolution group.
struct Packed {
  Part part;
  std::vector<Chunk> chunks;
  int64_t bytes;    // of a column
  int8_t *panels;   // (outputs / kPanel, bytes / kFour, kPanel, kFour)
  std::vector<int32_t> initial;  // what a column's sums begin with: less what the 128 of unsigned bytes add; or empty
};

// The parts of all pairs, put into passes whose packed weights together stay small, if one pair allows it: fresh pages
// for all of a large layer's would cost more than packing them.
std::vector<std::vector<Part>> passes(const Layout &l, const axdnn_digits &d);

// Packs the weights of a group for the parts into `memory`; `constant` (outputs), if given, becomes what every pixel's
// sum over all parts starts from.
std::vector<Packed> pack(const Layout &l, const axdnn_digits &d, const std::vector<Part> &parts, int64_t conv_group,
                         const uint8_t *w, const Variant &v, int32_t threads, Memory &memory, int32_t *constant);

}  // namespace axdnn

#endif
