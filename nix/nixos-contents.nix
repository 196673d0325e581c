# What nixos-install and make-disk-image.nix put beside the store: entries and attributes of the plan, and shell commands
# that fill ./files.
{ lib }:
let
  inherit (import ./values.nix { inherit lib; }) no show;
  directory = mode: {
    type = "directory";
    inherit mode;
  };
  symlink = target: {
    type = "symlink";
    inherit target;
  };
  # Beside the store, where Nix' database is too.
  state = "${dirOf builtins.storeDir}/var/nix";
  profiles = "${state}/profiles";

  # A path with one slash before each name.
  absolute =
    target: "/" + lib.concatStringsSep "/" (lib.filter (part: part != "") (lib.splitString "/" target));
  isGlob = source: lib.hasInfix "*" "${source}";
  isNumber = value: builtins.isInt value || builtins.match "[0-9]+" value != null;
  toInt = value: if builtins.isInt value then value else builtins.fromJSON value;
  # The permission bits that a build can set, and whether there are others.
  plainMode = mode: builtins.substring (builtins.stringLength mode - 3) 3 mode;
  hasSetId = mode: builtins.stringLength mode == 4 && builtins.substring 0 1 mode != "0";

  # The number of a user or a group: given, or fixed by the configuration. null: none is.
  numberOf =
    config:
    let
      ofUser = name: config.users.users.${name}.uid or null;
      ofGroup = name: config.users.groups.${name}.gid or null;
      ids = kind: name: config.ids.${kind}.${name} or null;
      first = list: lib.findFirst (value: value != null) null list;
    in
    {
      user =
        name:
        if isNumber name then
          toInt name
        else if name == "root" then
          0
        else
          first [
            (ofUser name)
            (ids "uids" name)
          ];
      group =
        name:
        if isNumber name then
          toInt name
        else if name == "root" then
          0
        else
          first [
            (ofGroup name)
            (ids "gids" name)
          ];
    };
in
rec {
  # What is wrong with contents that have the right form.
  problems =
    config: contents:
    let
      number = numberOf config;
      unknown =
        kind: id: content:
        no (content.${kind} or null == null || number.${kind} content.${kind} != null)
          "${content.target}: the ${kind} ${show content.${kind}} has no fixed number in the configuration; set users.${kind}s.${content.${kind}}.${id}, or give the number";
    in
    lib.concatMap (
      content:
      unknown "user" "uid" content
      ++ unknown "group" "gid" content
      ++ no (!(isGlob content.source && content.mode or null != null && hasSetId content.mode))
        "${content.target}: the mode ${show content.mode} of a pattern has set-id bits, which a build cannot set; declare the files in attributes"
    ) contents;

  commands = lib.concatMapStrings (
    content:
    let
      source = "${content.source}";
      target = lib.escapeShellArg "files${absolute content.target}";
      chmod =
        path:
        lib.optionalString (content.mode or null != null) ''
          find ${path} -depth ! -type l -exec chmod ${plainMode content.mode} {} \;
        '';
    in
    if isGlob source then
      ''
        mkdir -p ${target}
        for from in ${source}; do
          cp -a --no-preserve=ownership -- "$from" ${target}/
          ${chmod "${target}/\"$(basename -- \"$from\")\""}
        done
      ''
    else
      ''
        mkdir -p "$(dirname -- ${target})"
        if [ -e ${target} ]; then
          echo "contents: two of them have the target "${lib.escapeShellArg (absolute content.target)} >&2
          exit 1
        fi
        cp -aT --no-preserve=ownership -- ${lib.escapeShellArg source} ${target}
        ${chmod target}
      ''
  );

  # Owners, and the bits that a build cannot set. A later content replaces what an earlier one says of its target.
  attributes =
    config: contents:
    let
      number = numberOf config;
    in
    lib.foldl' (
      all: content:
      let
        of =
          lib.optionalAttrs (content.user or null != null) {
            uid = number.user content.user;
            gid = number.group content.group;
          }
          // lib.optionalAttrs (content.mode or null != null && hasSetId content.mode) {
            inherit (content) mode;
          };
        target = absolute content.target;
      in
      if of == { } then
        all
      else
        all // { ${target} = all.${target} or { } // of // { recursive = true; }; }
    ) { } contents;

  # What nixos-install leaves, as the machine's Nix would have it.
  system =
    {
      toplevel,
      # The channel, a store path with nixos/ in it, or null.
      channel,
      # A configuration.nix, or null.
      configFile,
    }:
    {
      "/etc/NIXOS" = {
        type = "file";
        text = "";
      };
      "/etc/nixos" = directory "0755";
      "${profiles}/system" = symlink "system-1-link";
      "${profiles}/system-1-link" = symlink "${toplevel}";
      # Nix makes these when it opens a store, and without the first one its collector would see no profile.
      "${state}/gcroots/profiles" = symlink profiles;
      "${state}/gcroots/auto" = directory "0755";
    }
    // lib.optionalAttrs (configFile != null) {
      "/etc/nixos/configuration.nix" = {
        type = "file";
        source = "${configFile}";
        mode = "0444";
      };
    }
    // lib.optionalAttrs (channel != null) {
      "${profiles}/per-user/root/channels" = symlink "channels-1-link";
      "${profiles}/per-user/root/channels-1-link" = symlink "${channel}";
      "/root" = directory "0700";
      "/root/.nix-defexpr" = directory "0700";
      "/root/.nix-defexpr/channels" = symlink "${profiles}/per-user/root/channels";
    };

  # The group that Nix' builders have owns the store's directory, as Nix sets it when it starts as root.
  storeAttributes =
    config:
    let
      gid = (numberOf config).group "nixbld";
    in
    lib.optionalAttrs (gid != null) {
      ${builtins.storeDir} = {
        mode = "1775";
        uid = 0;
        inherit gid;
      };
    };
}
