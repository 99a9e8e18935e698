// What the command line names: images, folders of images, or inputs that are already prepared.
#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

namespace msseg {

// One input cannot be used; the others can.
class UnusableInput : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Input {
  std::filesystem::path path;
  std::string name;        // what its result is called: a relative path without suffix
  std::vector<int> shape;  // of a prepared input, (1, channels, h, w); empty for an image

  bool is_prepared() const { return !shape.empty(); }
};

// Lists the files that arguments name. Folders are searched to any depth for images, sorted; a
// folder with an inputs.json, as tools/deploy/preprocess.py leaves it, gives its prepared inputs.
// Throws std::runtime_error for what is not there, and for a list that names files outside of its
// folder or says no shape of an image.
std::vector<Input> FindInputs(const std::vector<std::string> &arguments);

// Sides of images, and of what they are resized to, are at most this.
constexpr int kLongestSide = 1 << 20;

// Reads a file whole. Throws std::runtime_error.
std::vector<unsigned char> ReadBytes(const std::filesystem::path &path);

}  // namespace msseg
