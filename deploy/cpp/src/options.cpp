#include "options.h"

#include <getopt.h>

#include <charconv>
#include <stdexcept>

namespace msseg {
namespace {

constexpr option kLongOptions[] = {
    {"out", required_argument, nullptr, 'o'},      {"backend", required_argument, nullptr, 'b'},
    {"device", required_argument, nullptr, 'd'},   {"device-id", required_argument, nullptr, 'i'},
    {"threads", required_argument, nullptr, 't'},  {"format", required_argument, nullptr, 'f'},
    {"metadata", required_argument, nullptr, 'm'}, {"help", no_argument, nullptr, 'h'},
    {nullptr, 0, nullptr, 0},
};

int ParseCount(const std::string &name, const std::string &text) {
  int value = 0;
  const char *end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || value < 0) {
    throw std::runtime_error(name + " is '" + text + "', expected a number from 0");
  }
  return value;
}

std::string ParseDevice(const std::string &text) {
  if (text == "CPU" || text == "GPU" || text == "Ascend") return text;
  throw std::runtime_error("--device is '" + text + "', expected CPU, GPU or Ascend");
}

Format ParseFormat(const std::string &text) {
  if (text == "palette") return Format::kPalette;
  if (text == "index") return Format::kIndex;
  if (text == "bin") return Format::kBinary;
  throw std::runtime_error("--format is '" + text + "', expected palette, index or bin");
}

void Take(int letter, const std::string &value, Options *options) {
  switch (letter) {
    case 'o': options->out = value; break;
    case 'b': options->backend = value; break;
    case 'd': options->device.type = ParseDevice(value); break;
    case 'i': options->device.id = ParseCount("--device-id", value); break;
    case 't': options->device.num_threads = ParseCount("--threads", value); break;
    case 'f': options->format = ParseFormat(value); break;
    case 'm': options->metadata = value; break;
    default: options->help = true; break;
  }
}

}  // namespace

const char kUsage[] =
    R"(Label images with an exported segmentation model.

usage: msseg_infer MODEL INPUT... --out DIR [options]

  MODEL            .onnx, .mindir or .ms; the latter two with FILE.json beside them, as
                   tools/export.py writes it
  INPUT            images, folders of images, or a folder from tools/deploy/preprocess.py
  --out DIR        folder for the results
  --format F       palette (default): PNG in the model's colours; index: grey PNG of classes;
                   bin: the network's output as it is, as always for prepared inputs
  --backend B      opencv or lite; by default opencv for .onnx, lite for .mindir and .ms
  --device D       CPU (default), GPU or Ascend
  --device-id N    number of the card (default 0)
  --threads N      threads on the CPU (default: the runtime's choice)
  --metadata FILE  what MODEL's metadata are in: the .onnx that it was converted from, or a .json
)";

Options ParseOptions(int argc, char **argv) {
  Options options;
  opterr = 0;  // errors are ours to say
  int letter = 0;
  while ((letter = getopt_long(argc, argv, ":o:h", kLongOptions, nullptr)) != -1) {
    if (letter == '?' || letter == ':') {
      const std::string what = argv[optind - 1];
      throw std::runtime_error(what + (letter == ':' ? " needs a value" : " is no option") +
                               "; --help lists them");
    }
    Take(letter, optarg == nullptr ? "" : optarg, &options);
  }
  if (options.help) return options;
  const std::vector<std::string> words(argv + optind, argv + argc);
  if (words.size() < 2 || options.out.empty()) {
    throw std::runtime_error(
        "expected msseg_infer MODEL INPUT... --out DIR; --help says more");
  }
  options.model = words.front();
  options.inputs.assign(words.begin() + 1, words.end());
  return options;
}

}  // namespace msseg
