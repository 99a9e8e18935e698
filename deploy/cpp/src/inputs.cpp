#include "inputs.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <stdexcept>

#include <nlohmann/json.hpp>

namespace msseg {
namespace {

namespace fs = std::filesystem;

const std::set<std::string> kSuffixes = {".bmp", ".jp2", ".jpeg", ".jpg", ".pbm",  ".pgm",
                                         ".png", ".pnm", ".ppm",  ".tif", ".tiff", ".webp"};

bool IsImage(const fs::path &path) {
  std::string suffix = path.extension().string();
  std::transform(suffix.begin(), suffix.end(), suffix.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  return kSuffixes.count(suffix) > 0 && path.filename().string().front() != '.';
}

std::vector<Input> PreparedIn(const fs::path &list) {
  std::vector<Input> found;
  try {
    const nlohmann::json content = nlohmann::json::parse(ReadBytes(list));
    for (const auto &entry : content.at("inputs")) {
      const fs::path file = entry.at("file").get<std::string>();
      found.push_back({list.parent_path() / file, fs::path(file).replace_extension().string(),
                       entry.at("shape").get<std::vector<int>>()});
    }
  } catch (const nlohmann::json::exception &error) {
    throw std::runtime_error("'" + list.string() +
                             "' is no list of prepared inputs: write it again with "
                             "tools/deploy/preprocess.py (" + error.what() + ")");
  }
  if (found.empty()) throw std::runtime_error("'" + list.string() + "' lists no input");
  return found;
}

std::vector<Input> ImagesIn(const fs::path &folder) {
  std::vector<Input> found;
  for (const auto &entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file() || !IsImage(entry.path())) continue;
    const fs::path name = fs::relative(entry.path(), folder).replace_extension();
    found.push_back({entry.path(), name.string(), {}});
  }
  if (found.empty()) throw std::runtime_error("folder '" + folder.string() + "' holds no image");
  std::sort(found.begin(), found.end(),
            [](const Input &a, const Input &b) { return a.path < b.path; });
  return found;
}

std::vector<Input> Expand(const fs::path &argument) {
  if (fs::is_directory(argument)) {
    const fs::path list = argument / "inputs.json";
    return fs::exists(list) ? PreparedIn(list) : ImagesIn(argument);
  }
  if (fs::exists(argument)) return {{argument, argument.stem().string(), {}}};
  throw std::runtime_error("'" + argument.string() + "': there is no such file or folder");
}

}  // namespace

std::vector<Input> FindInputs(const std::vector<std::string> &arguments) {
  std::vector<Input> found;
  for (const std::string &argument : arguments) {
    const std::vector<Input> more = Expand(argument);
    found.insert(found.end(), more.begin(), more.end());
  }
  std::map<std::string, fs::path> taken;
  for (const Input &input : found) {
    const auto [place, is_new] = taken.emplace(input.name, input.path);
    if (is_new) continue;
    throw std::runtime_error("the results of '" + place->second.string() + "' and '" +
                             input.path.string() + "' would both be called '" + input.name +
                             "': label them in two runs");
  }
  return found;
}

std::vector<unsigned char> ReadBytes(const fs::path &path) {
  std::ifstream stream(path, std::ios::binary);
  std::vector<unsigned char> bytes{std::istreambuf_iterator<char>(stream), {}};
  if (!stream.is_open() || stream.bad()) {
    throw std::runtime_error("'" + path.string() + "' cannot be read");
  }
  return bytes;
}

}  // namespace msseg
