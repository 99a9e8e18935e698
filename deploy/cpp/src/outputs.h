// Where results go: below the folder of --out, over no input and over no other result.
#pragma once

#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "inputs.h"

namespace msseg {

// The file system takes no name that is so long.
class NameTooLong : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Returns the path of each input's result, out/NAME + suffix. Throws std::runtime_error when one
// would lie outside of `out` (a symbolic link leads there), or replace an input, one of `sources`
// (the model and its metadata), another result, or a picture or list that this program has not
// written.
std::vector<std::filesystem::path> PlanResults(const std::filesystem::path &out,
                                               const std::vector<Input> &inputs,
                                               const std::string &suffix,
                                               const std::vector<std::filesystem::path> &sources);

// Returns a PNG file with the mark by which `PlanResults` knows it again: the text chunk
// "Software: msseg", as msseg/utils/outputs.py writes it.
std::vector<uint8_t> MarkPng(std::vector<uint8_t> file);

// Writes a file whole or not at all. Throws NameTooLong, or std::runtime_error.
void WriteBytes(const std::filesystem::path &path, const void *data, size_t num_bytes);

}  // namespace msseg
