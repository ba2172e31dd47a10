# SPDX-License-Identifier: Apache-2.0
#
# What `cmake --install` puts where: headers, the two libraries, daybookConfig.cmake, daybook.pc,
# daybook-server.
include(CMakePackageConfigHelpers)

set(daybook_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/daybook)

install(DIRECTORY engine/include/daybook DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.h")
install(TARGETS daybook EXPORT daybookTargets)
install(TARGETS daybook_static EXPORT daybookStaticTargets)
install(EXPORT daybookTargets NAMESPACE daybook:: DESTINATION ${daybook_package_dir})
install(EXPORT daybookStaticTargets NAMESPACE daybook:: DESTINATION ${daybook_package_dir})
if(TARGET daybook-server)
    install(TARGETS daybook-server)
endif()

configure_package_config_file(cmake/daybookConfig.cmake.in ${PROJECT_BINARY_DIR}/daybookConfig.cmake
                              INSTALL_DESTINATION ${daybook_package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/daybookConfigVersion.cmake
                                 VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/daybookConfig.cmake
              ${PROJECT_BINARY_DIR}/daybookConfigVersion.cmake
        DESTINATION ${daybook_package_dir})

# Paths inside the file are relative to the file itself, so that an installed tree can be moved.
file(RELATIVE_PATH DAYBOOK_PC_PREFIX "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
string(REGEX REPLACE "/$" "" DAYBOOK_PC_PREFIX "${DAYBOOK_PC_PREFIX}")
foreach(package IN ITEMS daybook daybook-static)
    configure_file(cmake/${package}.pc.in ${PROJECT_BINARY_DIR}/${package}.pc @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/${package}.pc
            DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()
