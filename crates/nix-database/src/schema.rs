//! The tables, indexes and trigger that Nix expects.

/// The schema version: the contents of the file `schema` next to the database.
pub const VERSION: &[u8] = b"10";

/// The schema, without the tables of experimental features, which Nix adds if it needs them. Since 2.10, Nix creates
/// `SchemaMigrations` when it opens a database (`LocalStore::upgradeDBSchema`), which fails if that is read-only. Rows of
/// that table belong to experimental features, so it is empty here.
pub(crate) const SCHEMA: &str = "
create table ValidPaths (
    id               integer primary key autoincrement not null,
    path             text unique not null,
    hash             text not null,
    registrationTime integer not null,
    deriver          text,
    narSize          integer,
    ultimate         integer,
    sigs             text,
    ca               text
);
create table Refs (
    referrer  integer not null,
    reference integer not null,
    primary key (referrer, reference),
    foreign key (referrer) references ValidPaths(id) on delete cascade,
    foreign key (reference) references ValidPaths(id) on delete restrict
);
create index IndexReferrer on Refs(referrer);
create index IndexReference on Refs(reference);
create trigger DeleteSelfRefs before delete on ValidPaths
    begin
        delete from Refs where referrer = old.id and reference = old.id;
    end;
create table DerivationOutputs (
    drv  integer not null,
    id   text not null,
    path text not null,
    primary key (drv, id),
    foreign key (drv) references ValidPaths(id) on delete cascade
);
create index IndexDerivationOutputs on DerivationOutputs(path);
create table SchemaMigrations (migration text primary key not null);
";
