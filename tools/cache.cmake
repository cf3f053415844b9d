# SPDX-License-Identifier: Apache-2.0
# cache.cmake - OCT_TOOLS, the directory tools/setup.sh fills; the same rule as in env.sh.
set(OCT_TOOLS "$ENV{OCTANT_TOOLS}")
if(NOT OCT_TOOLS)
  set(OCT_TOOLS "$ENV{HOME}/.cache/octant-tools")
endif()
