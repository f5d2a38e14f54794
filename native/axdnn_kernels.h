/* Sums of approximate products of 8-bit codes: the plain C interface of axdnn's native kernels.
 *
 * All sums are computed modulo 2^32, in any order: the result is the exact integer wherever that fits int32, which the
 * caller has to know (|largest table entry| times the number of terms below 2^31). Nothing saturates on the way.
 * Pointers are to contiguous memory of the stated shape. Functions return 0, or a number of enum axdnn_error.
 */
#ifndef AXDNN_KERNELS_H
#define AXDNN_KERNELS_H

#include <stdint.h>

#if defined(_WIN32)
#define AXDNN_API __declspec(dllexport)
#else
#define AXDNN_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define AXDNN_INTERFACE 7 /* raised whenever a signature changes */

enum axdnn_variant { AXDNN_PORTABLE = 0, AXDNN_AVX2 = 1, AXDNN_AVX_VNNI = 2, AXDNN_VNNI = 3, AXDNN_AMX = 4 };
enum axdnn_error { AXDNN_OK = 0, AXDNN_BAD_SHAPE = 1, AXDNN_NO_VARIANT = 2, AXDNN_NO_MEMORY = 3 };

/* A convolution. A matrix product (m, k) x (n, k) has batch m, channels k, everything else 1. Operands are bytes as they
 * stand in the caller's tensors, whose dimensions may lie in memory in any order; tables are indexed by these bytes. */
typedef struct {
  int64_t batch, height, width, channels; /* input without padding */
  int64_t outputs, kernel_h, kernel_w;    /* weights (outputs, kernel_h, kernel_w, channels / groups) */
  int64_t out_h, out_w, stride_h, stride_w, dilation_h, dilation_w, groups;
  int64_t pad_h, pad_w;                   /* border on each side, of byte `pad` */
  int64_t pad;
  int64_t x_batch, x_channel, x_row, x_column;   /* distances of neighbours in x */
  int64_t w_output, w_channel, w_row, w_column;  /* and in w */
} axdnn_shape;

/* A table as products of 8-bit digits: T[a][w] = sum over pairs p of scale(p) * f[p][a] * g[p][w] + shift[w]. Pairs that
 * share a scale stand together: the first sizes[0] pairs have scales[0], and so on. Scales and shifts modulo 2^32. */
typedef struct {
  int64_t groups;
  const int64_t *sizes;
  const int32_t *scales;
  const int8_t *f, *g;    /* (pairs, 256) */
  const int32_t *shift;   /* (256) */
} axdnn_digits;

AXDNN_API int32_t axdnn_interface(void);

/* Whether this processor (and operating system) runs a variant. */
AXDNN_API int32_t axdnn_has(int32_t variant);
/* Whether it has the byte permutes (AVX-512 VBMI) that the look-up path's fast variant needs. */
AXDNN_API int32_t axdnn_has_permutes(void);

/* Levels and codes: a real value times `unit` is rounded half to even and clamped to [low, high] (whole numbers below
 * 2^22 in magnitude); the code is level * step + zero, its low byte stored. */
typedef struct {
  float low, high;
  int32_t step, zero;
} axdnn_coding;

/* What becomes of sums as soon as they are known: codes (batch, out_h, out_w, outputs), as of axdnn_requantise. */
typedef struct {
  const int32_t *bias;
  const float *unit;
  axdnn_coding coding;
  uint8_t *codes;
} axdnn_emission;

/* out (batch, out_h, out_w, outputs) = sum over a window of T[x][w], by digit products; with `emission`, which may be
 * null, its codes instead, and `out` is not looked at. */
AXDNN_API int32_t axdnn_conv_digits(const axdnn_shape *shape, const uint8_t *x, const uint8_t *w,
                                    const axdnn_digits *digits, int32_t *out, const axdnn_emission *emission,
                                    int32_t variant, int32_t threads);

/* out (batch, out_h, out_w, outputs) = sum over a window of base[w] + the entry of planes; with `add` it is added to what
 * is there. columns (256 w, count, 256 x) and rows (256 x, count, 256 w) are the bytes of the same entries, lowest first;
 * count is 1 or 2. folded: the entries of byte w and of byte (256 - w) % 128, w >= 128, are each other's complement, and
 * rows holds the lower half of them, (256 x, count, 128). w is contiguous, (outputs, channels / groups, kernel_h, kernel_w). variant is AXDNN_PORTABLE, or
 * AXDNN_VNNI for byte permutes. */
AXDNN_API int32_t axdnn_conv_lookup(const axdnn_shape *shape, const uint8_t *x, const uint8_t *w,
                                    const uint8_t *columns, const uint8_t *rows, int32_t count, int32_t folded,
                                    const int32_t *base, int32_t *out, int32_t add, int32_t variant, int32_t threads);

/* The same, stored, for entries (256 w, 256 x) of any width, by adding up rows of products; fast for many pixels. */
AXDNN_API int32_t axdnn_conv_rows(const axdnn_shape *shape, const uint8_t *x, const uint8_t *w, const int32_t *entries,
                                  int32_t *out, int32_t variant, int32_t threads);

/* codes[r][c] = code of float(sums[r][c] + bias[c]) * unit[c]. */
AXDNN_API int32_t axdnn_requantise(const int32_t *sums, int64_t rows, int64_t channels, const int32_t *bias,
                                   const float *unit, const axdnn_coding *coding, uint8_t *codes, int32_t variant,
                                   int32_t threads);

/* The real value of a code: ((code ^ flip) - zero) * scale; flip is 0x80 for two's complement, zero, a whole number below
 * 2^24 in magnitude, then 128 more. */
typedef struct {
  float zero, scale;
  int32_t flip;
} axdnn_addend;

/* A form in which a sum is wanted: codes[i] = code of value * inverse. */
typedef struct {
  float inverse;
  axdnn_coding coding;
  uint8_t *codes;
} axdnn_sink;

/* value(a[i]) + value(b[i]) in one form or more. */
AXDNN_API int32_t axdnn_add(const uint8_t *a, const uint8_t *b, int64_t count, const axdnn_addend *first,
                            const axdnn_addend *second, const axdnn_sink *sinks, int64_t number_of_sinks,
                            int32_t variant, int32_t threads);

#ifdef __cplusplus
}
#endif
#endif
