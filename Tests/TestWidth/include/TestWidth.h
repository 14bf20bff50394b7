#ifndef TEST_WIDTH_H
#define TEST_WIDTH_H

/// How many tests run at a time: `CONFAB_TEST_WIDTH`, or `default_test_width`.
///
/// Swift Testing starts all tests at once. Thousands of clients, nodes and servers would share the
/// machine, and their deadlines would pass; thousands of tests of values would keep Swift's threads
/// from the tasks of all others. It reads its limit from an experimental environment variable
/// (Swift 6.3: SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH) before the first test; this target
/// sets that one when the test binary is loaded, unless it is set.
long test_width(void);

enum { default_test_width = 8 };

#endif
