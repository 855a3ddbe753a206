// Checks of the C++ tests. A failure says file, line, expression and values and lets the test run on;
// main ends with `return deblai::test::report();`, which is non-zero after a failure.
//   CHECK(condition, values...)   CHECK_CLOSE(a, b, rel)   CHECK_THROWS(expression, Type, "part of the message")
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <iostream>
#include <sstream>
#include <string>

namespace deblai::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

// The size of a test: `full`, or `reduced` where a sanitizer makes every access slow.
template <class T>
constexpr T sized(T full, T reduced) {
    return sanitized ? reduced : full;
}

inline std::atomic<long> checks{0}, failures{0};

template <class... Values>
bool record(bool ok, const char* file, int line, const char* expression, const char* names = "",
            const Values&... values) {
    ++checks;
    if (ok) return true;
    if (++failures > 40) return false;
    std::ostringstream text;
    text.precision(17);
    text << file << ":" << line << ": failed: " << expression;
    if (*names) text << "\n    (" << names << ") = (";
    [[maybe_unused]] const char* between = "";
    ((text << between << values, between = ", "), ...);
    if (*names) text << ")";
    std::cerr << text.str() + "\n";
    return false;
}

// Relative to the larger of the two; NaN is close to nothing.
inline bool close(double a, double b, double rel) {
    return a == b || std::abs(a - b) <= rel * std::max(std::abs(a), std::abs(b));
}

inline int report() {
    std::cerr << checks << " checks, " << failures << " failed\n";
    return failures == 0 && checks > 0 ? 0 : 1;
}

}  // namespace deblai::test

#define CHECK(condition, ...) \
    ::deblai::test::record(bool(condition), __FILE__, __LINE__, #condition __VA_OPT__(, #__VA_ARGS__, __VA_ARGS__))

#define CHECK_CLOSE(a, b, rel)                                                                                \
    ::deblai::test::record(::deblai::test::close(a, b, rel), __FILE__, __LINE__, #a " == " #b " up to " #rel, \
                           "left, right, tolerance", double(a), double(b), double(rel))

#define CHECK_THROWS(expression, Type, ...)                                                                     \
    try {                                                                                                       \
        (void)(expression);                                                                                     \
        ::deblai::test::record(false, __FILE__, __LINE__, #expression " throws " #Type);                        \
    } catch (const Type& error) {                                                                               \
        const std::string said = error.what(), part{__VA_ARGS__};                                               \
        ::deblai::test::record(said.find(part) != said.npos, __FILE__, __LINE__, #expression " throws " #Type,  \
                               "message, expected part", said, part);                                           \
    } catch (...) {                                                                                             \
        ::deblai::test::record(false, __FILE__, __LINE__, #expression " throws " #Type ", not something else"); \
    }
