// Which variants this processor and operating system run.
#ifndef AXDNN_CPU_H
#define AXDNN_CPU_H

#include "axdnn_kernels.h"

namespace axdnn {

struct Features {
  bool avx2 = false, avx_vnni = false, avx512 = false, vnni = false, amx = false, permutes = false;
};

const Features &features();

}  // namespace axdnn

#endif
