#include "TestWidth.h"

#include <stdlib.h>

static const char *const variable = "SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH";

__attribute__((constructor)) static void limit_tests(void)
{
    const char *width = getenv("CONFAB_TEST_WIDTH");
    char text[] = {'0' + default_test_width, 0};
    setenv(variable, width != NULL && atol(width) > 0 ? width : text, 0);
}

long test_width(void)
{
    return atol(getenv(variable));
}
