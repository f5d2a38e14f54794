// What must hold of a shape.
#include "shape.h"

namespace axdnn {

bool sound(const axdnn_shape &s) {
  if (s.batch < 0 || s.channels < 1 || s.outputs < 1 || s.groups < 1 || s.kernel_h < 1 || s.kernel_w < 1 ||
      s.stride_h < 1 || s.stride_w < 1 || s.dilation_h < 1 || s.dilation_w < 1 || s.out_h < 1 || s.out_w < 1 || s.pad_h < 0 ||
      s.pad_w < 0)
    return false;
  const int64_t reach_h = (s.out_h - 1) * s.stride_h + (s.kernel_h - 1) * s.dilation_h + 1;
  const int64_t reach_w = (s.out_w - 1) * s.stride_w + (s.kernel_w - 1) * s.dilation_w + 1;
  return s.channels % s.groups == 0 && s.outputs % s.groups == 0 && reach_h <= s.height + 2 * s.pad_h && reach_w <= s.width + 2 * s.pad_w;
}

}  // namespace axdnn
