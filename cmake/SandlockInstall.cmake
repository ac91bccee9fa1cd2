# cmake --install: the programs, the man page, completions and the shipped tables.
include(GNUInstallDirs)
install(TARGETS sandlock RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
# sandlock looks beside itself, then in ../libexec/sandlock
install(TARGETS sandlock-gateway RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/sandlock)
install(FILES ${CMAKE_SOURCE_DIR}/docs/man/sandlock.1 OPTIONAL
  DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${CMAKE_SOURCE_DIR}/conf/completions/sandlock.bash OPTIONAL
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME sandlock)
install(FILES ${CMAKE_SOURCE_DIR}/conf/completions/_sandlock OPTIONAL
  DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES ${CMAKE_SOURCE_DIR}/conf/completions/sandlock.fish OPTIONAL
  DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
# The tables are compiled in; the copies tell users what is in them.
install(FILES ${CMAKE_SOURCE_DIR}/conf/secrets ${CMAKE_SOURCE_DIR}/conf/trust
  ${CMAKE_SOURCE_DIR}/conf/ca-bundles DESTINATION ${CMAKE_INSTALL_DATADIR}/sandlock)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/conf/profiles DESTINATION ${CMAKE_INSTALL_DATADIR}/sandlock)
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE ${CMAKE_SOURCE_DIR}/README.md
  ${CMAKE_SOURCE_DIR}/CHANGELOG.md ${CMAKE_SOURCE_DIR}/docs/DEPENDENCIES.md
  DESTINATION ${CMAKE_INSTALL_DOCDIR})
