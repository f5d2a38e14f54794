// What must hold of a shape.
#ifndef AXDNN_SHAPE_H
#define AXDNN_SHAPE_H

#include "axdnn_kernels.h"

namespace axdnn {

bool sound(const axdnn_shape &shape);

}  // namespace axdnn

#endif
