// The command line.
#pragma once

#include <string>
#include <vector>

#include "backend.h"

namespace msseg {

// How labels are written.
enum class Format {
  kPalette,  // PNG with the model's palette, as tools/predict.py writes them
  kIndex,    // grey PNG of class indices
  kBinary,   // the network's output as it is
};

struct Options {
  std::string model;
  std::string metadata;  // a file with the model's metadata; empty: the model, or beside it
  std::vector<std::string> inputs;
  std::string out;
  std::string backend;  // empty goes by the model's suffix
  Device device;
  Format format = Format::kPalette;
  bool help = false;
};

// What --help prints.
extern const char kUsage[];

// Throws std::runtime_error for a command line that says too little or makes no sense.
Options ParseOptions(int argc, char **argv);

}  // namespace msseg
