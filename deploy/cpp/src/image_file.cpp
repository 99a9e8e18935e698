#include "image_file.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>

#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "inputs.h"

namespace msseg {
namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<unsigned char>;

constexpr int kMostChannels = 512;  // of a cv::Mat
constexpr int64_t kMostPixels = int64_t{1} << 30;  // as cv::imread takes
constexpr std::string_view kOtherWays =
    ": save it as .npy, or prepare it with tools/deploy/preprocess.py";

[[noreturn]] void Refuse(const fs::path &path, const std::string &problem) {
  throw UnusableInput("'" + path.string() + "': " + problem);
}

// An image with the values of its file.
struct Raw {
  cv::Mat image;
  bool is_colour = false;        // channels are blue, green, red and perhaps opacity
  std::optional<double> nodata;  // what the tag of a GeoTIFF says
};

// Whether a PNG or JPEG file has its end: decoders fill what is missing with grey and go on.
bool IsWhole(std::string_view text) {
  constexpr std::string_view kPngEnd("IEND\xae" "B`\x82", 8);
  if (text.substr(0, 4) == "\x89PNG") return text.find(kPngEnd) != text.npos;
  if (text.substr(0, 2) == "\xff\xd8") {
    const size_t end = text.rfind("\xff\xd9");
    const size_t scan = text.rfind("\xff\xda");
    return end != text.npos && (scan == text.npos || end > scan);
  }
  return true;
}

// The tags of a TIFF's first page that say what its channels are.
class Tiff {
 public:
  explicit Tiff(std::string_view text) : text_(text) {
    is_little_ = text.substr(0, 2) == "II";
    if (text.size() < 16 || (!is_little_ && text.substr(0, 2) != "MM")) return;
    const uint64_t magic = Number(2, 2);
    is_big_ = magic == 43;
    is_tiff_ = magic == 42 || is_big_;
    if (!is_tiff_) return;
    const uint64_t start = is_big_ ? Number(8, 8) : Number(4, 4);
    const uint64_t count = Number(start, is_big_ ? 8 : 2);
    const uint64_t first = start + (is_big_ ? 8 : 2);
    const uint64_t length = is_big_ ? 20 : 12;
    for (uint64_t i = 0; i < std::min<uint64_t>(count, 65535); ++i) Read(first + i * length);
  }

  bool is_tiff() const { return is_tiff_; }
  std::optional<double> nodata() const { return nodata_; }
  uint64_t channels() const { return channels_; }

  // Whether OpenCV gives all its channels as they are.
  bool is_read_whole() const {
    const bool has_opacity = photometric_ == 2 && channels_ == 4;
    return channels_ == 1 || (photometric_ == 2 && channels_ == 3) || (has_opacity && bits_ == 16);
  }

 private:
  uint64_t Number(uint64_t at, int length) const {
    uint64_t number = 0;
    for (int i = 0; i < length; ++i) {
      const uint64_t place = at + (is_little_ ? length - 1 - i : i);
      number = number << 8 | (place < text_.size() ? static_cast<uint8_t>(text_[place]) : 0);
    }
    return number;
  }

  void Read(uint64_t at) {
    const uint64_t count = Number(at + 4, is_big_ ? 8 : 4);
    const uint64_t value = at + (is_big_ ? 12 : 8);
    const uint64_t inside = is_big_ ? 8 : 4;
    const auto place = [&](uint64_t size) {
      return count * size <= inside ? value : Number(value, static_cast<int>(inside));
    };
    switch (Number(at, 2)) {
      case 258: bits_ = Number(place(2), 2); break;
      case 262: photometric_ = Number(value, 2); break;
      case 277: channels_ = Number(value, 2); break;
      case 42113: {
        const uint64_t start = place(1);
        if (start >= text_.size()) break;
        const std::string text(text_.substr(start, std::min<uint64_t>(count, 64)));
        char *end = nullptr;
        const double number = std::strtod(text.c_str(), &end);
        if (end != text.c_str()) nodata_ = number;
        break;
      }
    }
  }

  std::string_view text_;
  bool is_tiff_ = false;
  bool is_little_ = true;
  bool is_big_ = false;
  uint64_t bits_ = 1;
  uint64_t photometric_ = 1;
  uint64_t channels_ = 1;
  std::optional<double> nodata_;
};

template <typename T>
cv::Mat AsDouble(const char *data, int rows, int columns, int channels) {
  cv::Mat image(rows, columns, CV_64FC(channels));
  double *out = image.ptr<double>();
  for (size_t i = 0; i < image.total() * channels; ++i) {
    T value;
    std::memcpy(&value, data + i * sizeof(T), sizeof(T));
    out[i] = static_cast<double>(value);
  }
  return image;
}

// Returns what stands after a key of the header of a numpy array, which is the text of a dict.
std::string_view ValueOf(std::string_view header, std::string_view key) {
  const size_t at = header.find(key);
  if (at == header.npos) return {};
  const size_t start = header.find_first_not_of(" :'\"", at + key.size());
  return start == header.npos ? std::string_view() : header.substr(start);
}

cv::Mat ReadArray(std::string_view text, const fs::path &path) {
  const bool is_first = text.size() > 10 && text[6] == 1;
  const size_t start = is_first ? 10 : 12;
  if (text.size() < start) Refuse(path, "the numpy array is truncated");
  size_t length = 0;
  for (size_t i = start; i-- > 8;) length = length << 8 | static_cast<uint8_t>(text[i]);
  if (length > text.size() - start) Refuse(path, "the numpy array is truncated");
  const std::string_view header = text.substr(start, length);
  const std::string_view data = text.substr(start + length);
  const std::string type(ValueOf(header, "'descr'").substr(0, 3));
  if (ValueOf(header, "'fortran_order'").substr(0, 4) == "True") {
    Refuse(path, "the array is in Fortran's order: save numpy.ascontiguousarray of it");
  }
  std::vector<int> shape;
  const std::string sizes(ValueOf(header, "'shape'").substr(0, 64));
  for (const char *at = sizes.c_str() + 1; *at != ')' && *at != 0;) {
    char *end = nullptr;
    const long long side = std::strtoll(at, &end, 10);
    if (end == at || side < 1 || side > kLongestSide) break;
    shape.push_back(static_cast<int>(side));
    for (at = end; *at == ',' || *at == ' ';) ++at;
  }
  if (shape.size() == 2) shape.push_back(1);
  if (shape.size() != 3 || shape[2] > kMostChannels ||
      static_cast<int64_t>(shape[0]) * shape[1] > kMostPixels) {
    Refuse(path, "the array is of shape " + sizes.substr(0, sizes.find(')') + 1) +
                     ", expected (h, w) or (h, w, channels)");
  }
  const size_t count = static_cast<size_t>(shape[0]) * shape[1] * shape[2];
  const int size = type.size() == 3 && type[2] >= '1' && type[2] <= '8' ? type[2] - '0' : 0;
  if (size > 0 && data.size() != count * size) Refuse(path, "the numpy array is truncated");
  const auto plain = [&](int depth) {
    cv::Mat image(shape[0], shape[1], CV_MAKETYPE(depth, shape[2]));
    std::memcpy(image.data, data.data(), data.size());
    return image;
  };
  if (type == "|u1") return plain(CV_8U);
  if (type == "<u2") return plain(CV_16U);
  if (type == "<i2") return plain(CV_16S);
  if (type == "<f4") return plain(CV_32F);
  const auto wide = [&](auto kind) {
    return AsDouble<decltype(kind)>(data.data(), shape[0], shape[1], shape[2]);
  };
  if (type == "|i1") return wide(int8_t());
  if (type == "<i4") return wide(int32_t());
  if (type == "<u4") return wide(uint32_t());
  if (type == "<i8") return wide(int64_t());
  if (type == "<u8") return wide(uint64_t());
  if (type == "<f8") return wide(double());
  Refuse(path, "the array holds '" + type + "', expected u1, i1, u2, i2, u4, i4, u8, i8, f4 or f8");
}

cv::Mat Decode(const Bytes &bytes, int flags, const fs::path &path) {
  cv::Mat image;
  try {
    image = cv::imdecode(bytes, flags);
  } catch (const cv::Exception &) {
    // as for an image of no known format, below
  }
  if (image.empty()) {
    Refuse(path, "cannot be decoded as an image; it is damaged or of another format");
  }
  return image;
}

int FlagsOf(const std::string &color_type) {
  if (color_type == "unchanged") return cv::IMREAD_UNCHANGED;
  const bool is_grey = color_type.rfind("grayscale", 0) == 0;
  const int flags = is_grey ? cv::IMREAD_GRAYSCALE : cv::IMREAD_COLOR;
  const bool is_turned = color_type.find("ignore_orientation") == color_type.npos;
  return is_turned ? flags : flags | cv::IMREAD_IGNORE_ORIENTATION;
}

// The first three channels as colours, or what is grey, of an image of more than 8 bits.
cv::Mat AsColours(const cv::Mat &image, bool is_grey) {
  cv::Mat planes;
  if (image.channels() >= 3) {
    cv::Mat colours(image.size(), CV_MAKETYPE(image.depth(), 3));
    cv::mixChannels({image}, {colours}, {0, 0, 1, 1, 2, 2});
    if (!is_grey) return colours;
    if (colours.depth() != CV_16U) colours.convertTo(colours, CV_32F);
    cv::cvtColor(colours, planes, cv::COLOR_BGR2GRAY);
    return planes;
  }
  cv::extractChannel(image, planes, 0);
  if (is_grey) return planes;
  cv::Mat colours;
  cv::merge(std::vector<cv::Mat>(3, planes), colours);
  return colours;
}

Raw ReadRaw(const Bytes &bytes, const fs::path &path, const Loading &loading) {
  const std::string_view text(reinterpret_cast<const char *>(bytes.data()), bytes.size());
  if (bytes.empty()) Refuse(path, "the file is empty");
  if (!IsWhole(text)) {
    Refuse(path, "the image is truncated: " + std::to_string(bytes.size()) +
                     " bytes without the end of the picture");
  }
  const bool is_unchanged = loading.color_type == "unchanged";
  const bool is_grey = loading.color_type.rfind("grayscale", 0) == 0;
  Raw raw;
  if (text.substr(0, 4) == std::string_view("PK\x03\x04", 4)) {
    Refuse(path, "an archive of arrays is not read here" + std::string(kOtherWays));
  }
  const bool is_array = text.substr(0, 6) == "\x93NUMPY";
  const Tiff tiff(text);
  if (is_array) {
    raw.image = ReadArray(text, path);
  } else {
    if (tiff.is_tiff() && !tiff.is_read_whole() && (is_unchanged || tiff.channels() > 4)) {
      Refuse(path, "a TIFF of " + std::to_string(tiff.channels()) +
                       " channels, of which OpenCV does not read all as they are" +
                       std::string(kOtherWays));
    }
    raw.nodata = tiff.nodata();
    raw.image = Decode(bytes, cv::IMREAD_UNCHANGED, path);
    const bool is_png = text.substr(0, 4) == "\x89PNG";
    if (is_png && text.size() > 25 && text[25] == 4 && raw.image.channels() == 4) {
      cv::Mat grey(raw.image.size(), CV_MAKETYPE(raw.image.depth(), 2));  // with opacity
      cv::mixChannels({raw.image}, {grey}, {0, 0, 3, 1});
      raw.image = grey;
    }
    raw.is_colour = raw.image.channels() >= 3;
    if (!is_unchanged && raw.image.depth() == CV_8U) {
      raw.image = Decode(bytes, FlagsOf(loading.color_type), path);
      return raw;
    }
  }
  if (is_unchanged) return raw;
  if (is_array && raw.image.channels() > 4) {
    Refuse(path, "holds " + std::to_string(raw.image.channels()) + " channels, no colours");
  }
  const bool is_scaled = loading.max_value || loading.percentiles;
  if (!is_scaled && raw.image.depth() != CV_16U && raw.image.depth() != CV_8U) {
    Refuse(path, "holds numbers that have no fixed scale, and the model was exported without one");
  }
  raw.image = AsColours(raw.image, is_grey);
  return raw;
}

cv::Mat ChosenBands(const Raw &raw, const std::vector<int> &bands, const fs::path &path) {
  const int count = raw.image.channels();
  cv::Mat chosen(raw.image.size(), CV_MAKETYPE(raw.image.depth(), static_cast<int>(bands.size())));
  std::vector<int> pairs;
  for (size_t i = 0; i < bands.size(); ++i) {
    const int band = bands[i] - 1;
    if (band >= count) {
      Refuse(path, "the model takes band " + std::to_string(bands[i]) + ", but the file holds " +
                       std::to_string(count));
    }
    // colours, which come as blue, green, red, count in the order of the file
    pairs.push_back(raw.is_colour && band < 3 ? 2 - band : band);
    pairs.push_back(static_cast<int>(i));
  }
  cv::mixChannels({raw.image}, {chosen}, pairs);
  return chosen;
}

// Returns where values are no data, 255 for each; empty if nowhere. With a scale, infinite values
// are clipped to it.
cv::Mat FindMissing(const cv::Mat &image, std::optional<double> nodata, bool is_scaled) {
  const bool is_real = image.depth() == CV_32F || image.depth() == CV_64F;
  if (!nodata && !is_real) return {};
  cv::Mat values;
  image.convertTo(values, CV_64F);
  if (nodata && image.depth() == CV_32F) nodata = static_cast<float>(*nodata);
  cv::Mat missing(image.size(), CV_8UC(image.channels()), cv::Scalar::all(0));
  missing = missing.reshape(1);
  values = values.reshape(1);
  const double largest = is_scaled ? std::numeric_limits<double>::infinity()
                                   : static_cast<double>(std::numeric_limits<float>::max());
  bool found = false;
  for (int y = 0; y < values.rows; ++y) {
    const double *value = values.ptr<double>(y);
    uint8_t *out = missing.ptr<uint8_t>(y);
    for (int x = 0; x < values.cols; ++x) {
      const bool is_number = std::abs(value[x]) <= largest;
      out[x] = !is_number || (nodata && value[x] == *nodata) ? 255 : 0;
      found = found || out[x] != 0;
    }
  }
  return found ? missing.reshape(image.channels()) : cv::Mat();
}

// Returns the value below which a share of numbers lies, as numpy interpolates it.
float PercentileOf(std::vector<float> *values, double percent) {
  const double place = percent / 100 * (static_cast<double>(values->size()) - 1);
  const size_t low = static_cast<size_t>(place);
  std::nth_element(values->begin(), values->begin() + low, values->end());
  const float first = (*values)[low];
  if (low + 1 >= values->size()) return first;
  const float second = *std::min_element(values->begin() + low + 1, values->end());
  return static_cast<float>(first + (static_cast<double>(second) - first) * (place - low));
}

cv::Mat Scaled(const cv::Mat &image, const cv::Mat &missing, const Loading &loading) {
  cv::Mat values;
  image.convertTo(values, CV_32F);
  if (!loading.percentiles && image.depth() == CV_8U) return values;
  double low = 0;
  double high = loading.max_value.value_or(255);
  cv::Mat flat = values.reshape(1);
  if (loading.percentiles) {
    const cv::Mat holes = missing.empty() ? missing : missing.reshape(1);
    std::vector<float> known;
    for (int y = 0; y < flat.rows; ++y) {
      for (int x = 0; x < flat.cols; ++x) {
        const float value = flat.at<float>(y, x);
        const bool is_hole = !holes.empty() && holes.at<uint8_t>(y, x) != 0;
        if (!is_hole && std::isfinite(value)) known.push_back(value);
      }
    }
    low = known.empty() ? 0 : PercentileOf(&known, loading.percentiles->first);
    high = known.empty() ? 1 : PercentileOf(&known, loading.percentiles->second);
  }
  const float shift = static_cast<float>(low);
  const float factor = static_cast<float>(255 / std::max(high - low, 1e-12));
  for (int y = 0; y < flat.rows; ++y) {
    for (int x = 0; x < flat.cols; ++x) {
      float &value = flat.at<float>(y, x);
      value = std::clamp((value - shift) * factor, 0.0F, 255.0F);
    }
  }
  return values;
}

// Returns a mask with the channels of an image, which may have become colours.
cv::Mat Like(const cv::Mat &missing, const cv::Mat &image) {
  if (missing.channels() == image.channels()) return missing;
  std::vector<cv::Mat> planes;
  cv::split(missing, planes);
  for (size_t c = 1; c < planes.size(); ++c) planes[0] = planes[0] | planes[c];
  cv::Mat merged;
  cv::merge(std::vector<cv::Mat>(image.channels(), planes[0]), merged);
  return merged;
}

LoadedImage Filled(cv::Mat image, const cv::Mat &missing, const Loading &loading) {
  if (missing.empty()) return {image, {}};
  std::vector<cv::Mat> planes;
  std::vector<cv::Mat> holes;
  cv::split(image, planes);
  cv::split(Like(missing, image), holes);
  for (size_t c = 0; c < planes.size(); ++c) {
    planes[c].setTo(loading.fill[loading.fill.size() == 1 ? 0 : c], holes[c]);
  }
  cv::merge(planes, image);
  cv::split(missing, holes);
  cv::Mat no_data = holes[0];
  for (size_t c = 1; c < holes.size(); ++c) {
    no_data = loading.takes_any ? cv::Mat(no_data | holes[c]) : cv::Mat(no_data & holes[c]);
  }
  return {image, cv::countNonZero(no_data) > 0 ? no_data : cv::Mat()};
}

}  // namespace

LoadedImage LoadImage(const fs::path &path, const Metadata &metadata) {
  const Loading &loading = metadata.loading;
  Bytes bytes;
  try {
    bytes = ReadBytes(path);
  } catch (const std::runtime_error &error) {
    throw UnusableInput(error.what());
  }
  Raw raw = ReadRaw(bytes, path, loading);
  if (!loading.bands.empty()) raw.image = ChosenBands(raw, loading.bands, path);
  const size_t channels = metadata.mean.size();
  if (static_cast<size_t>(raw.image.channels()) != channels) {
    Refuse(path, "is loaded with " + std::to_string(raw.image.channels()) +
                     " channels, but the model takes " + std::to_string(channels));
  }
  const bool is_scaled = loading.max_value || loading.percentiles;
  const std::optional<double> nodata = loading.reads_tag ? raw.nodata : loading.nodata;
  const cv::Mat missing = FindMissing(raw.image, nodata, is_scaled);
  cv::Mat image = raw.image;
  if (is_scaled) {
    image = Scaled(image, missing, loading);
  } else if (loading.color_type != "unchanged" && image.depth() == CV_16U) {
    // the upper half, not rounded
    cv::Mat upper(image.size(), CV_8UC(image.channels()));
    const cv::Mat from = image.reshape(1);
    cv::Mat to = upper.reshape(1);
    for (int y = 0; y < from.rows; ++y) {
      for (int x = 0; x < from.cols; ++x) {
        to.at<uint8_t>(y, x) = static_cast<uint8_t>(from.at<uint16_t>(y, x) >> 8);
      }
    }
    image = upper;
  } else if (image.depth() == CV_64F || image.depth() == CV_32S) {
    image.convertTo(image, CV_32F);
  }
  return Filled(image, missing, loading);
}

}  // namespace msseg
