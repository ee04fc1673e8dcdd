#include "zipf.h"

#include "random.h"

#include <math.h>

/* Rejection inversion (Hörmann and Derflinger, ACM TOMACS 6(3), 1996, for v = 0): a number is drawn under
 * the curve x^-theta by inverting its integral, and kept if it falls into its rank's bar. Exact for every n,
 * with nothing to sum up beforehand, and for theta = 1 too. */

/* The integral of x^-theta from 1 to x. */
static double integral(const struct zipf *zipf, double x)
{
	double power = (1 - zipf->theta) * log(x);
	return power == 0 ? log(x) : log(x) * expm1(power) / power;
}

static double inverse(const struct zipf *zipf, double area)
{
	double scaled = (1 - zipf->theta) * area;
	if (scaled <= -1) /* where rounding has left the range */
		return zipf->n;
	return exp(scaled == 0 ? area : area * log1p(scaled) / scaled);
}

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
	return b == 0 ? a : common_divisor(b, a % b);
}

struct zipf zipf_open(uint64_t n, double theta)
{
	struct zipf zipf = { .theta = theta, .n = (double)n };
	zipf.low = integral(&zipf, 1.5) - 1;
	zipf.high = integral(&zipf, zipf.n + 0.5);
	zipf.surely = 2 - inverse(&zipf, integral(&zipf, 2.5) - pow(2, -theta));
	/* Near n over the golden ratio: neighbours in rank come far apart, and with no common divisor each
	 * rank comes to a place of its own. */
	for (zipf.step = (uint64_t)(0.6180339887498949 * zipf.n) | 1; common_divisor(zipf.step, n) != 1;)
		zipf.step += 2;
	return zipf;
}

uint64_t zipf_next(const struct zipf *zipf, uint64_t *random)
{
	for (;;) {
		double share = (double)(random_next(random) >> 11) * 0x1p-53;
		double area = zipf->high + share * (zipf->low - zipf->high);
		double x = inverse(zipf, area), rank = floor(x + 0.5);
		rank = rank < 1 ? 1 : rank > zipf->n ? zipf->n : rank;
		if (rank - x <= zipf->surely || area >= integral(zipf, rank + 0.5) - pow(rank, -zipf->theta))
			return (uint64_t)rank - 1;
	}
}
