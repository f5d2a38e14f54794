// Which variants this processor and operating system run.
#include "cpu.h"

#include "digits.h"

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

namespace axdnn {

#if defined(__x86_64__)
namespace {

struct Registers {
  uint32_t a = 0, b = 0, c = 0, d = 0;
};

Registers cpuid(uint32_t leaf, uint32_t sub) {
  Registers r;
  if (!__get_cpuid_count(leaf, sub, &r.a, &r.b, &r.c, &r.d)) return {};
  return r;
}

uint64_t enabled_state() {  // XCR0: registers that the operating system saves
  const Registers one = cpuid(1, 0);
  if (!(one.c >> 27 & 1)) return 0;
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

bool amx_allowed() {  // Linux hands out tile registers on request, once a process
#if defined(__linux__)
  constexpr long request_permission = 0x1023, tile_data = 18;
  return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
  return false;
#endif
}

Features detect() {
  Features f;
  const uint64_t state = enabled_state();
  const Registers seven = cpuid(7, 0);
  const bool ymm = (state & 0x6) == 0x6, zmm = (state & 0xe6) == 0xe6, tiles = (state & 0x60000) == 0x60000;
  f.avx2 = ymm && (seven.b >> 5 & 1);
  f.avx_vnni = f.avx2 && (cpuid(7, 1).a >> 4 & 1);
  f.avx512 = zmm && (seven.b >> 16 & 1) && (seven.b >> 17 & 1) && (seven.b >> 30 & 1) && (seven.b >> 31 & 1);
  f.vnni = f.avx512 && (seven.c >> 11 & 1);
  f.permutes = f.avx512 && (seven.c >> 1 & 1);
  f.amx = f.vnni && tiles && (seven.d >> 24 & 1) && (seven.d >> 25 & 1) && amx_allowed();
  return f;
}

}  // namespace

const Features &features() {
  static const Features found = detect();
  return found;
}
#else
const Features &features() {
  static const Features none;
  return none;
}
#endif

}  // namespace axdnn

extern "C" {

int32_t axdnn_interface(void) { return AXDNN_INTERFACE; }

int32_t axdnn_has(int32_t variant) {
  const axdnn::Features &f = axdnn::features();
  switch (variant) {
    case AXDNN_PORTABLE: return 1;
    case AXDNN_AVX2: return f.avx2;
    case AXDNN_AVX_VNNI: return f.avx_vnni && AXDNN_COMPILES_AVX_VNNI;
    case AXDNN_VNNI: return f.vnni;
    case AXDNN_AMX: return f.amx;
    default: return 0;
  }
}

int32_t axdnn_has_permutes(void) { return axdnn::features().permutes; }
}
