// A part by name: how what Python asks for becomes a type.
#pragma once

#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "core/base.hpp"
#include "core/part.hpp"

namespace fg {

// A part by name, with values for (some of) its fields.
struct PartSpec {
    std::string name;
    std::vector<std::pair<std::string, double>> values;
};

// Calls f(part) with the part of `List` that the spec describes.
template <class Parts, class F>
void with_part(const PartSpec& spec, F f) {
    bool found = false;
    Parts::each([&](auto part) {
        if (spec.name != part.name) return;
        found = true;
        std::apply(
            [&](const auto&... field) {
                for (const auto& [name, value] : spec.values) {
                    const bool known = ((name == field.name ? (part.*field.member = value, true) : false) || ...);
                    if (!known) throw BadArgument(spec.name + " has no parameter " + name);
                }
                if (sizeof...(field) == 0 && !spec.values.empty())
                    throw BadArgument(spec.name + " has no parameter " + spec.values.front().first);
            },
            decltype(part)::fields());
        f(part);
    });
    if (!found) throw BadArgument("there is no part named " + spec.name);
}

}  // namespace fg
